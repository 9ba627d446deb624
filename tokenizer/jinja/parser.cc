#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/names.h"

namespace floe::tokenizer::jinja {
namespace {

constexpr std::array<std::string_view, 7> kStatementNames = {
    "break", "continue", "for", "generation", "if", "macro", "set"};

using Kind = StatementKind;
using Made = std::unique_ptr<Statement>;
using Names = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

  absl::StatusOr<Parsed> Run() {
    Parsed parsed;
    FLOE_ASSIGN_OR_RETURN(parsed.body, ReadBlock({}));
    for (const auto& called : expressions_.called()) {
      if (!macros_.contains(called.name)) {
        return NotSupported("function", called.name, called.line, kFunctionNames);
      }
    }
    parsed.has_generation = has_generation_;
    return parsed;
  }

 private:
  static Made New(Kind kind, int line) {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = line;
    return made;
  }

  // Statements up to a tag that begins with one of `ends`, which stays; to the end without `ends`.
  absl::StatusOr<Block> ReadBlock(Names ends) {
    const TokenStream::Level level(tokens_);
    FLOE_RETURN_IF_ERROR(level.Check());
    Block block;
    while (true) {
      const int line = tokens_.Peek().line;
      switch (tokens_.Peek().kind) {
        case TokenKind::kData: {
          Made text = New(Kind::kText, line);
          text->text = Text(tokens_.Take().text, Origin::kTemplate);
          block.push_back(std::move(text));
          break;
        }
        case TokenKind::kVariableBegin: {
          tokens_.Take();
          Made output = New(Kind::kOutput, line);
          FLOE_ASSIGN_OR_RETURN(output->expression, expressions_.Condition());
          FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kVariableEnd, "}}"));
          block.push_back(std::move(output));
          break;
        }
        case TokenKind::kBlockBegin: {
          if (tokens_.Peek(1).kind == TokenKind::kName && Has(ends, tokens_.Peek(1).text)) {
            tokens_.Take();
            return block;
          }
          tokens_.Take();
          FLOE_ASSIGN_OR_RETURN(std::unique_ptr<const Statement> statement, ReadStatement(line));
          block.push_back(std::move(statement));
          break;
        }
        default:
          if (ends.size() == 0 && tokens_.Peek().kind == TokenKind::kEnd) return block;
          return tokens_.Error(absl::StrCat("{% ", AbslView(*(ends.end() - 1)), " %} is missing"));
      }
    }
  }

  absl::Status EndTag() { return tokens_.Expect(TokenKind::kBlockEnd, "%}"); }
  absl::Status EndTag(std::string_view name) {
    FLOE_RETURN_IF_ERROR(tokens_.ExpectName(name));
    return EndTag();
  }

  absl::StatusOr<std::unique_ptr<const Statement>> ReadStatement(int line) {
    const std::string name = tokens_.Peek().text;
    if (tokens_.Peek().kind != TokenKind::kName || !Has(kStatementNames, name)) {
      return NotSupported("statement", name, line, kStatementNames);
    }
    tokens_.Take();
    if (name == "if") return If(line);
    if (name == "for") return For(line);
    if (name == "set") return Set(line);
    if (name == "macro") return ReadMacro(line);
    if (name == "generation") return Generation(line);
    if (loops_ == 0) return tokens_.Error(absl::StrCat("'", name, "' outside of a loop"));
    Made jump = New(name == "break" ? Kind::kBreak : Kind::kContinue, line);
    FLOE_RETURN_IF_ERROR(EndTag());
    return jump;
  }

  absl::StatusOr<std::unique_ptr<const Statement>> If(int line) {
    Made made = New(Kind::kIf, line);
    bool otherwise = false;
    while (true) {
      ExpressionPtr condition;
      if (!otherwise) {
        FLOE_ASSIGN_OR_RETURN(condition, expressions_.Condition());
      }
      FLOE_RETURN_IF_ERROR(EndTag());
      FLOE_ASSIGN_OR_RETURN(
          Block body, otherwise ? ReadBlock({"endif"}) : ReadBlock({"elif", "else", "endif"}));
      made->branches.emplace_back(std::move(condition), std::move(body));
      const std::string next = tokens_.Take().text;
      if (next == "endif") break;
      otherwise = next == "else";
    }
    FLOE_RETURN_IF_ERROR(EndTag());
    return made;
  }

  // a, or a, b, or (a, b): names that something is assigned to.
  absl::StatusOr<std::vector<std::string>> Targets() {
    std::vector<std::string> targets;
    const bool brackets = tokens_.TakeOperator("(");
    do {
      targets.push_back(tokens_.Peek().text);
      FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of a variable"));
    } while (tokens_.TakeOperator(","));
    if (brackets) FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    return targets;
  }

  absl::StatusOr<std::unique_ptr<const Statement>> For(int line) {
    Made made = New(Kind::kFor, line);
    FLOE_ASSIGN_OR_RETURN(made->targets, Targets());
    FLOE_RETURN_IF_ERROR(tokens_.ExpectName("in"));
    FLOE_ASSIGN_OR_RETURN(made->expression, expressions_.Or());
    if (tokens_.TakeName("if")) {
      FLOE_ASSIGN_OR_RETURN(made->condition, expressions_.Condition());
    }
    if (tokens_.IsName("recursive")) {
      return NotSupported("loop", "recursive", line, Names{"loops that are not"});
    }
    FLOE_RETURN_IF_ERROR(EndTag());
    ++loops_;
    FLOE_ASSIGN_OR_RETURN(made->body, ReadBlock({"else", "endfor"}));
    --loops_;
    if (tokens_.TakeName("else")) {
      FLOE_RETURN_IF_ERROR(EndTag());
      FLOE_ASSIGN_OR_RETURN(made->otherwise, ReadBlock({"endfor"}));
    }
    FLOE_RETURN_IF_ERROR(EndTag("endfor"));
    return made;
  }

  absl::StatusOr<std::unique_ptr<const Statement>> Set(int line) {
    Made made = New(Kind::kSet, line);
    FLOE_ASSIGN_OR_RETURN(made->targets, Targets());
    if (made->targets.size() == 1 && tokens_.TakeOperator(".")) {
      made->attribute = tokens_.Peek().text;
      FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of an attribute"));
    }
    if (tokens_.TakeOperator("=")) {
      FLOE_ASSIGN_OR_RETURN(made->expression, expressions_.Condition());
      FLOE_RETURN_IF_ERROR(EndTag());
      return made;
    }
    if (made->targets.size() != 1 || !made->attribute.empty()) {
      return tokens_.Error("'=' is missing");
    }
    if (tokens_.IsOperator("|")) return tokens_.Error("{% set x | filter %} is not supported");
    made->kind = Kind::kSetBlock;
    FLOE_RETURN_IF_ERROR(EndTag());
    FLOE_ASSIGN_OR_RETURN(made->body, Captured("endset"));
    return made;
  }

  // A body whose text does not go out at once: no answer can be marked in it, and no loop around
  // it can be left.
  absl::StatusOr<Block> Captured(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    ++captures_;
    FLOE_ASSIGN_OR_RETURN(Block body, ReadBlock({end}));
    --captures_;
    loops_ = loops;
    FLOE_RETURN_IF_ERROR(EndTag(end));
    return body;
  }

  absl::StatusOr<std::unique_ptr<const Statement>> ReadMacro(int line) {
    Made made = New(Kind::kMacro, line);
    made->attribute = tokens_.Peek().text;
    FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of the macro"));
    FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator("("));
    while (!tokens_.IsOperator(")")) {
      made->targets.push_back(tokens_.Peek().text);
      FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of an argument"));
      if (tokens_.TakeOperator("=")) {
        FLOE_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.Condition());
        made->defaults.push_back(std::move(value));
      } else if (!made->defaults.empty()) {
        return tokens_.Error("an argument without a default behind one with");
      }
      if (!tokens_.TakeOperator(",")) break;
    }
    FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    FLOE_RETURN_IF_ERROR(EndTag());
    macros_.insert(made->attribute);
    FLOE_ASSIGN_OR_RETURN(made->body, Captured("endmacro"));
    return made;
  }

  absl::StatusOr<std::unique_ptr<const Statement>> Generation(int line) {
    if (captures_ > 0)
      return tokens_.Error("'generation' inside a macro or another is not supported");
    Made made = New(Kind::kGeneration, line);
    has_generation_ = true;
    FLOE_RETURN_IF_ERROR(EndTag());
    FLOE_ASSIGN_OR_RETURN(made->body, Captured("endgeneration"));
    return made;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  std::set<std::string> macros_;
  int loops_ = 0;
  int captures_ = 0;
  bool has_generation_ = false;
};

}  // namespace

absl::StatusOr<Parsed> Parse(std::string_view source) {
  FLOE_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace floe::tokenizer::jinja
