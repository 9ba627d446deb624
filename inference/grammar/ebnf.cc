#include "inference/grammar/ebnf.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/grammar/text_cursor.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::inference::grammar {
namespace {

using Range = CodePointSet::Range;

constexpr char kRoot[] = "root";

bool IsNameCharacter(char32_t c) {
  return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9') ||
         c == U'-' || c == U'_';
}

class EbnfParser {
 public:
  explicit EbnfParser(std::vector<char32_t> text) : text_(std::move(text)) { Index(kRoot); }

  absl::StatusOr<Draft> Parse() {
    SkipSpace(/*lines=*/true);
    while (!text_.done()) {
      FLOE_RETURN_IF_ERROR(ReadRule());
      SkipSpace(/*lines=*/true);
    }
    for (size_t i = 0; i < draft_.rules.size(); ++i) {
      if (!defined_[i]) {
        return absl::InvalidArgumentError(absl::StrCat("there is no rule ", draft_.rules[i].name,
                                                       "; write ", draft_.rules[i].name, " ::= …"));
      }
    }
    return std::move(draft_);
  }

 private:
  void SkipSpace(bool lines) {
    while (!text_.done()) {
      const char32_t c = text_.Peek();
      if (c == U'#') {
        while (!text_.done() && !text_.LooksAt(U'\n')) text_.Take();
      } else if (c == U' ' || c == U'\t' || (lines && (c == U'\n' || c == U'\r'))) {
        text_.Take();
      } else {
        return;
      }
    }
  }

  // Whether a rule's head, or the end, is here: what was before has ended.
  bool AtRuleEnd() const {
    size_t ahead = 0;
    while (IsNameCharacter(text_.Peek(ahead))) ++ahead;
    while (text_.Peek(ahead) == U' ' || text_.Peek(ahead) == U'\t') ++ahead;
    return text_.done() || (text_.Peek(ahead) == U':' && text_.Peek(ahead + 1) == U':' &&
                            text_.Peek(ahead + 2) == U'=');
  }

  std::string Name() {
    std::string name;
    while (IsNameCharacter(text_.Peek())) name.push_back(static_cast<char>(text_.Take()));
    return name;
  }

  int Index(const std::string& name) {
    const auto [known, fresh] = index_.try_emplace(name, static_cast<int>(draft_.rules.size()));
    if (fresh) {
      draft_.rules.push_back({name, {}});
      defined_.push_back(false);
    }
    return known->second;
  }

  absl::Status ReadRule() {
    const std::string name = Name();
    if (name.empty()) return text_.Wrong("a rule begins with its name: name ::= …");
    SkipSpace(/*lines=*/false);
    if (!text_.TakeIf(U"::=")) {
      return text_.Wrong(absl::StrCat("the rule ", name, " has no ::= behind its name"));
    }
    const auto index = static_cast<size_t>(Index(name));
    if (defined_[index]) return text_.Wrong(absl::StrCat("the rule ", name, " is there twice"));
    defined_[index] = true;
    SkipSpace(/*lines=*/true);
    FLOE_ASSIGN_OR_RETURN(Expression body, Alternatives(/*depth=*/0));
    draft_.rules[index].body = std::move(body);
    if (!text_.done() && !AtRuleEnd()) return text_.Wrong("a ) has no ( before it");
    return absl::OkStatus();
  }

  absl::StatusOr<Expression> Alternatives(int depth) {
    if (depth > kMaxNesting) {
      return text_.Wrong(absl::StrCat("groups nest deeper than ", kMaxNesting, " levels"));
    }
    std::vector<Expression> alternatives;
    do {
      SkipSpace(/*lines=*/true);
      FLOE_ASSIGN_OR_RETURN(alternatives.emplace_back(), Sequence(depth));
    } while (text_.TakeIf(U'|'));
    if (alternatives.size() == 1) return std::move(alternatives.front());
    return Expression::Choice(std::move(alternatives));
  }

  absl::StatusOr<Expression> Sequence(int depth) {
    std::vector<Expression> parts;
    while (true) {
      const bool line_before = SkipToPart();
      const char32_t c = text_.Peek();
      if (text_.done() || c == U'|' || c == U')') break;
      if (depth == 0 && line_before && AtRuleEnd()) break;
      FLOE_ASSIGN_OR_RETURN(Expression part, Part(depth));
      FLOE_ASSIGN_OR_RETURN(part, Repeated(std::move(part)));
      parts.push_back(std::move(part));
    }
    return Expression::Sequence(std::move(parts));
  }

  // Whether a line break was among the white space.
  bool SkipToPart() {
    SkipSpace(/*lines=*/false);
    const bool line = text_.LooksAt(U'\n') || text_.LooksAt(U'\r');
    SkipSpace(/*lines=*/true);
    return line;
  }

  absl::StatusOr<Expression> Part(int depth) {
    if (text_.TakeIf(U'"')) return Literal();
    if (text_.TakeIf(U'[')) return Class();
    if (text_.TakeIf(U'.')) return Expression::Set(CodePointSet().Negated());
    if (text_.TakeIf(U'(')) {
      FLOE_ASSIGN_OR_RETURN(Expression group, Alternatives(depth + 1));
      if (!text_.TakeIf(U')')) return text_.Wrong("a ( has no ) behind it");
      return group;
    }
    const std::string name = Name();
    if (name.empty()) return text_.Wrong("this is no text, set, group or name of a rule");
    return Expression::Rule(Index(name));
  }

  absl::StatusOr<Expression> Repeated(Expression part) {
    for (int row = 0; row < kMaxNesting; ++row) {
      SkipSpace(/*lines=*/false);
      FLOE_ASSIGN_OR_RETURN(const auto repetition, text_.TakeRepetition());
      if (!repetition) return part;
      part = Expression::Repeat(std::move(part), repetition->least, repetition->most);
    }
    return text_.Wrong("too many repetitions stand in one row");
  }

  // Behind the backslash.
  absl::StatusOr<char32_t> Escaped() {
    if (text_.done()) return text_.Wrong("a \\ stands at the end");
    const char32_t c = text_.Take();
    switch (c) {
      case U'n':
        return U'\n';
      case U't':
        return U'\t';
      case U'r':
        return U'\r';
      case U'x':
        return text_.TakeHex(2);
      case U'u':
        return text_.TakeHex(4);
      case U'U':
        return text_.TakeHex(8);
      case U'\\':
      case U'"':
      case U'[':
      case U']':
      case U'-':
      case U'^':
        return c;
      default:
        return text_.Wrong("known escapes are \\n \\t \\r \\\\ \\\" \\[ \\] \\- \\^ \\x \\u \\U");
    }
  }

  absl::StatusOr<char32_t> Character() {
    const char32_t c = text_.Take();
    if (c == U'\\') return Escaped();
    return c;
  }

  absl::StatusOr<Expression> Literal() {
    std::string bytes;
    while (!text_.TakeIf(U'"')) {
      if (text_.done() || text_.LooksAt(U'\n')) {
        return text_.Wrong("a text in \"…\" does not end on its line; write \\n for a line break");
      }
      FLOE_ASSIGN_OR_RETURN(const char32_t c, Character());
      tokenizer::AppendUtf8(c, bytes);
    }
    return Expression::Literal(std::move(bytes));
  }

  absl::StatusOr<Expression> Class() {
    const bool negated = text_.TakeIf(U'^');
    std::vector<Range> ranges;
    while (!text_.TakeIf(U']')) {
      if (text_.done()) return text_.Wrong("a [ has no ] behind it");
      FLOE_ASSIGN_OR_RETURN(const char32_t low, Character());
      char32_t high = low;
      if (text_.TakeRangeDash()) {
        FLOE_ASSIGN_OR_RETURN(high, Character());
        if (high < low) {
          return text_.Wrong("a range in [] must go from a character to a later one");
        }
      }
      ranges.push_back({low, high});
    }
    const CodePointSet set(std::move(ranges));
    return Expression::Set(negated ? set.Negated() : set);
  }

  TextCursor text_;
  Draft draft_;
  std::map<std::string, int> index_;
  std::vector<bool> defined_;
};

}  // namespace

absl::StatusOr<Draft> ParseEbnf(std::string_view text) {
  if (text.size() > kMaxEbnfBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the grammar has ", text.size(), " bytes; write at most ", kMaxEbnfBytes));
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<char32_t> code_points, CodePointsOf(text));
  return EbnfParser(std::move(code_points)).Parse();
}

}  // namespace floe::inference::grammar
