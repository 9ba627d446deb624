#include "tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/names.h"

namespace floe::tokenizer::jinja {
namespace {

using Kind = ExpressionKind;

// `loop.changed` and `loop.cycle` would go by unseen otherwise.
absl::Status CheckLoopAttribute(const Expression& of, const std::string& name, int line) {
  if (of.kind != Kind::kName || of.name != "loop" || Has(kLoopNames, name)) {
    return absl::OkStatus();
  }
  return NotSupported("attribute of loop", name, line, kLoopNames);
}

}  // namespace

ExpressionParser::Made ExpressionParser::New(ExpressionKind kind, std::string name) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = tokens_.Peek().line;
  made->name = std::move(name);
  return made;
}

// A chain such as a + b + c … grows the tree without growing the parser's own stack.
absl::Status ExpressionParser::Add(Expression& to, ExpressionPtr operand) const {
  if (operand != nullptr) {
    to.depth = std::max(to.depth, operand->depth + 1);
    if (to.depth > kMaxParseDepth) {
      return tokens_.Error(absl::StrCat("an expression of more than ", kMaxParseDepth, " levels"));
    }
  }
  to.operands.push_back(std::move(operand));
  return absl::OkStatus();
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Chain(Rule operand,
                                                      std::initializer_list<std::string_view> names,
                                                      TokenKind kind) {
  FLOE_ASSIGN_OR_RETURN(ExpressionPtr left, (this->*operand)());
  while (tokens_.Peek().kind == kind && Has(names, tokens_.Peek().text)) {
    Made both = New(Kind::kBinary, tokens_.Take().text);
    FLOE_RETURN_IF_ERROR(Add(*both, std::move(left)));
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr right, (this->*operand)());
    FLOE_RETURN_IF_ERROR(Add(*both, std::move(right)));
    left = std::move(both);
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Condition() {
  const TokenStream::Level level(tokens_);
  FLOE_RETURN_IF_ERROR(level.Check());
  FLOE_ASSIGN_OR_RETURN(ExpressionPtr value, Or());
  while (tokens_.IsName("if")) {
    Made choice = New(Kind::kCondition);
    tokens_.Take();
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr condition, Or());
    FLOE_RETURN_IF_ERROR(Add(*choice, std::move(condition)));
    FLOE_RETURN_IF_ERROR(Add(*choice, std::move(value)));
    ExpressionPtr other;
    if (tokens_.TakeName("else")) {
      FLOE_ASSIGN_OR_RETURN(other, Condition());
    }
    FLOE_RETURN_IF_ERROR(Add(*choice, std::move(other)));
    value = std::move(choice);
  }
  return value;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Or() {
  return Chain(&ExpressionParser::And, {"or"}, TokenKind::kName);
}

absl::StatusOr<ExpressionPtr> ExpressionParser::And() {
  return Chain(&ExpressionParser::Not, {"and"}, TokenKind::kName);
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Not() {
  if (!tokens_.IsName("not")) return Comparison();
  const TokenStream::Level level(tokens_);
  FLOE_RETURN_IF_ERROR(level.Check());
  Made made = New(Kind::kUnary, tokens_.Take().text);
  FLOE_ASSIGN_OR_RETURN(ExpressionPtr operand, Not());
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
  return made;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Comparison() {
  FLOE_ASSIGN_OR_RETURN(ExpressionPtr first, Sum());
  Made chain = New(Kind::kComparison);
  while (true) {
    const Token& next = tokens_.Peek();
    std::string name;
    if (next.kind == TokenKind::kOperator &&
        Has(std::initializer_list<std::string_view>{"==", "!=", "<", "<=", ">", ">="}, next.text)) {
      name = tokens_.Take().text;
    } else if (tokens_.TakeName("in")) {
      name = "in";
    } else if (tokens_.IsName("not") && tokens_.IsName("in", 1)) {
      tokens_.Take();
      tokens_.Take();
      name = "not in";
    } else {
      break;
    }
    if (first != nullptr) FLOE_RETURN_IF_ERROR(Add(*chain, std::move(first)));
    chain->names.push_back(std::move(name));
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr operand, Sum());
    FLOE_RETURN_IF_ERROR(Add(*chain, std::move(operand)));
  }
  if (chain->names.empty()) return first;
  return chain;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Sum() {
  return Chain(&ExpressionParser::Concat, {"+", "-"}, TokenKind::kOperator);
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Concat() {
  FLOE_ASSIGN_OR_RETURN(ExpressionPtr first, Product());
  if (!tokens_.IsOperator("~")) return first;
  Made made = New(Kind::kConcat);
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(first)));
  while (tokens_.TakeOperator("~")) {
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr next, Product());
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(next)));
  }
  return made;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Product() {
  return Chain(&ExpressionParser::Unary, {"*", "/", "//", "%"}, TokenKind::kOperator);
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Unary() { return UnaryOperand(true); }

absl::StatusOr<ExpressionPtr> ExpressionParser::UnaryOperand(bool with_filters) {
  const TokenStream::Level level(tokens_);
  FLOE_RETURN_IF_ERROR(level.Check());
  ExpressionPtr value;
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    Made made = New(Kind::kUnary, tokens_.Take().text);
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr operand, UnaryOperand(false));
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
    value = std::move(made);
  } else {
    FLOE_ASSIGN_OR_RETURN(value, Primary());
  }
  FLOE_ASSIGN_OR_RETURN(value, Postfix(std::move(value)));
  if (with_filters) {
    FLOE_ASSIGN_OR_RETURN(value, Filters(std::move(value)));
  }
  if (tokens_.IsOperator("**")) {
    return NotSupported("operator", "**", tokens_.Peek().line,
                        std::initializer_list<std::string_view>{"+ - * / // % ~"});
  }
  return value;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Primary() {
  Made made = New(Kind::kLiteral);
  switch (tokens_.Peek().kind) {
    case TokenKind::kName:
      return NameOrConstant();
    case TokenKind::kString: {
      std::string text;  // neighbours are one text
      while (tokens_.Peek().kind == TokenKind::kString) text += tokens_.Take().text;
      made->literal = Value::Of(text, Origin::kTemplate);
      return made;
    }
    case TokenKind::kInteger: {
      int64_t value = 0;
      if (!absl::SimpleAtoi(tokens_.Peek().text, &value)) {
        return tokens_.Error("a number beyond 64 bits is not supported");
      }
      tokens_.Take();
      made->literal = Value::Of(value);
      return made;
    }
    case TokenKind::kFloat: {
      double value = 0;
      if (!absl::SimpleAtod(tokens_.Take().text, &value)) return tokens_.Error("no number");
      made->literal = Value(value);
      return made;
    }
    default:
      break;
  }
  if (tokens_.TakeOperator("(")) return Sequence(")", Kind::kTuple);
  if (tokens_.TakeOperator("[")) return Sequence("]", Kind::kList);
  if (tokens_.TakeOperator("{")) return Mapping();
  return tokens_.Error("an expression is missing");
}

absl::StatusOr<ExpressionPtr> ExpressionParser::NameOrConstant() {
  Made made = New(Kind::kLiteral);
  const std::string name = tokens_.Peek().text;
  if (name == "true" || name == "True") {
    made->literal = Value::Of(true);
  } else if (name == "false" || name == "False") {
    made->literal = Value::Of(false);
  } else if (name == "none" || name == "None") {
    made->literal = Value(None());
  } else if (Has(std::initializer_list<std::string_view>{"and", "or", "not", "if", "else", "in",
                                                         "is"},
                 name)) {
    return tokens_.Error("an expression is missing");
  } else {
    made->kind = Kind::kName;
    made->name = name;
  }
  tokens_.Take();
  return made;
}

// (a) is a itself; (a,) and (a, b) are tuples.
absl::StatusOr<ExpressionPtr> ExpressionParser::Sequence(std::string_view end,
                                                         ExpressionKind kind) {
  Made made = New(kind);
  bool comma = kind == Kind::kList;
  while (!tokens_.IsOperator(end)) {
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr item, Condition());
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(item)));
    if (!tokens_.TakeOperator(",")) break;
    comma = true;
  }
  FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator(end));
  if (!comma && made->operands.size() == 1) return std::move(made->operands[0]);
  return made;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Mapping() {
  Made made = New(Kind::kMap);
  while (!tokens_.IsOperator("}")) {
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr key, Condition());
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(key)));
    FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator(":"));
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr value, Condition());
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(value)));
    if (!tokens_.TakeOperator(",")) break;
  }
  FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator("}"));
  return made;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Postfix(ExpressionPtr operand) {
  while (true) {
    if (tokens_.TakeOperator(".")) {
      const int line = tokens_.Peek().line;
      Made made = New(Kind::kAttribute, tokens_.Peek().text);
      if (tokens_.Peek().kind == TokenKind::kInteger) return tokens_.Error("write [0] for .0");
      FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of an attribute"));
      if (!tokens_.IsOperator("(")) {
        FLOE_RETURN_IF_ERROR(CheckLoopAttribute(*operand, made->name, line));
      }
      FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
      operand = std::move(made);
    } else if (tokens_.TakeOperator("[")) {
      FLOE_ASSIGN_OR_RETURN(operand, Subscript(std::move(operand)));
    } else if (tokens_.IsOperator("(")) {
      FLOE_ASSIGN_OR_RETURN(operand, Call(std::move(operand)));
    } else {
      return operand;
    }
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Subscript(ExpressionPtr operand) {
  Made made = New(Kind::kSubscript);
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
  ExpressionPtr parts[3];
  size_t part = 0;
  while (!tokens_.IsOperator("]")) {
    if (tokens_.TakeOperator(":")) {
      made->kind = Kind::kSlice;
      if (++part > 2) return tokens_.Error("a slice has at most three parts");
      continue;
    }
    if (parts[part] != nullptr) break;
    FLOE_ASSIGN_OR_RETURN(parts[part], Condition());
  }
  FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator("]"));
  if (made->kind == Kind::kSubscript && parts[0] == nullptr) {
    return tokens_.Error("[] has no index");
  }
  const size_t count = made->kind == Kind::kSlice ? 3 : 1;
  for (size_t i = 0; i < count; ++i) FLOE_RETURN_IF_ERROR(Add(*made, std::move(parts[i])));
  return made;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Call(ExpressionPtr operand) {
  if (operand->kind == Kind::kName) {
    Made made = New(Kind::kFunction, operand->name);
    if (!Has(kFunctionNames, made->name)) called_.push_back({made->name, made->line});
    FLOE_RETURN_IF_ERROR(Arguments(*made));
    return made;
  }
  if (operand->kind != Kind::kAttribute) return tokens_.Error("only names can be called");
  if (!Has(kMethodNames, operand->name)) {
    return NotSupported("method", operand->name, operand->line, kMethodNames);
  }
  Made made = New(Kind::kMethod, operand->name);
  auto& of = const_cast<Expression&>(*operand);  // made here, and dissolved here
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(of.operands[0])));
  FLOE_RETURN_IF_ERROR(Arguments(*made));
  if (!made->named.empty()) {
    return NotSupported("argument", made->named[0].first, made->line,
                        std::initializer_list<std::string_view>{"arguments without names here"});
  }
  return made;
}

absl::Status ExpressionParser::Arguments(Expression& call) {
  FLOE_RETURN_IF_ERROR(tokens_.ExpectOperator("("));
  while (!tokens_.IsOperator(")")) {
    if (tokens_.Peek().kind == TokenKind::kName && tokens_.IsOperator("=", 1)) {
      const std::string name = tokens_.Take().text;
      tokens_.Take();
      FLOE_ASSIGN_OR_RETURN(ExpressionPtr value, Condition());
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(name, std::move(value));
    } else {
      if (!call.named.empty()) return tokens_.Error("an argument without a name behind one with");
      FLOE_ASSIGN_OR_RETURN(ExpressionPtr value, Condition());
      FLOE_RETURN_IF_ERROR(Add(call, std::move(value)));
    }
    if (!tokens_.TakeOperator(",")) break;
  }
  if (call.depth > kMaxParseDepth) return tokens_.Error("an expression of too many levels");
  return tokens_.ExpectOperator(")");
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Filters(ExpressionPtr operand) {
  while (true) {
    if (tokens_.TakeOperator("|")) {
      FLOE_ASSIGN_OR_RETURN(operand, Filter(std::move(operand)));
    } else if (tokens_.TakeName("is")) {
      FLOE_ASSIGN_OR_RETURN(operand, Test(std::move(operand)));
    } else {
      return operand;
    }
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Filter(ExpressionPtr operand) {
  Made made = New(Kind::kFilter, tokens_.Peek().text);
  FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of a filter"));
  if (!Has(kFilterNames, made->name)) {
    return NotSupported("filter", made->name, made->line, kFilterNames);
  }
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
  if (tokens_.IsOperator("(")) FLOE_RETURN_IF_ERROR(Arguments(*made));
  return made;
}

bool ExpressionParser::StartsOperand() const {
  const Token& next = tokens_.Peek();
  if (next.kind == TokenKind::kName) {
    return !Has(
        std::initializer_list<std::string_view>{"else", "or", "and", "if", "is", "in", "not"},
        next.text);
  }
  return next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
         next.kind == TokenKind::kFloat || tokens_.IsOperator("[") || tokens_.IsOperator("{");
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Test(ExpressionPtr operand) {
  const bool negated = tokens_.TakeName("not");
  Made made = New(Kind::kTest, tokens_.Peek().text);
  FLOE_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "the name of a test"));
  if (!Has(kTestNames, made->name)) return NotSupported("test", made->name, made->line, kTestNames);
  FLOE_RETURN_IF_ERROR(Add(*made, std::move(operand)));
  if (tokens_.IsOperator("(")) {
    FLOE_RETURN_IF_ERROR(Arguments(*made));
  } else if (StartsOperand()) {
    FLOE_ASSIGN_OR_RETURN(ExpressionPtr argument, Primary());
    FLOE_ASSIGN_OR_RETURN(argument, Postfix(std::move(argument)));
    FLOE_RETURN_IF_ERROR(Add(*made, std::move(argument)));
  }
  if (!made->named.empty()) return tokens_.Error("arguments of tests have no names");
  if (!negated) return made;
  Made other = New(Kind::kUnary, "not");
  FLOE_RETURN_IF_ERROR(Add(*other, std::move(made)));
  return other;
}

}  // namespace floe::tokenizer::jinja
