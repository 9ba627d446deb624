#include "inference/grammar/regex.h"

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

// The ranges of \d, \w or \s; nothing for another letter.
std::vector<Range> ShorthandRanges(char32_t letter) {
  switch (letter) {
    case U'd':
      return {{U'0', U'9'}};
    case U'w':
      return {{U'0', U'9'}, {U'A', U'Z'}, {U'_', U'_'}, {U'a', U'z'}};
    case U's':
      return {{U'\t', U'\n'}, {U'\f', U'\r'}, {U' ', U' '}};
    default:
      return {};
  }
}

// \d, \W and so on; nullopt for a letter that is none of them.
std::optional<CodePointSet> Shorthand(char32_t letter) {
  const bool negated = letter >= U'A' && letter <= U'Z';
  const std::vector<Range> ranges = ShorthandRanges(negated ? letter + 0x20 : letter);
  if (ranges.empty()) return std::nullopt;
  const CodePointSet set(ranges);
  return negated ? set.Negated() : set;
}

class RegexParser {
 public:
  RegexParser(std::vector<char32_t> text, RegexMatch match)
      : text_(std::move(text)), match_(match) {}

  absl::StatusOr<Expression> Parse() {
    FLOE_ASSIGN_OR_RETURN(Expression whole, Alternatives(/*depth=*/0));
    if (!text_.done()) return text_.Wrong("a ) has no ( before it; write \\) for the character");
    return whole;
  }

 private:
  absl::StatusOr<Expression> Alternatives(int depth) {
    if (depth > kMaxNesting) {
      return text_.Wrong(absl::StrCat("groups nest deeper than ", kMaxNesting, " levels"));
    }
    std::vector<Expression> alternatives;
    do {
      FLOE_ASSIGN_OR_RETURN(alternatives.emplace_back(), Sequence(depth));
    } while (text_.TakeIf(U'|'));
    if (alternatives.size() == 1) return std::move(alternatives.front());
    return Expression::Choice(std::move(alternatives));
  }

  absl::StatusOr<Expression> Sequence(int depth) {
    const bool pad = depth == 0 && match_ == RegexMatch::kSearch;
    std::vector<Expression> parts;
    const bool begins = depth == 0 && text_.TakeIf(U'^');
    if (pad && !begins) parts.push_back(AnyText());
    while (!text_.done() && !text_.LooksAt(U'|') && !text_.LooksAt(U')')) {
      if (depth == 0 && text_.LooksAt(U'$') && (text_.Peek(1) == 0 || text_.Peek(1) == U'|')) {
        text_.Take();
        return Expression::Sequence(std::move(parts));
      }
      FLOE_ASSIGN_OR_RETURN(Expression atom, Atom(depth));
      FLOE_ASSIGN_OR_RETURN(atom, Repeated(std::move(atom)));
      parts.push_back(std::move(atom));
    }
    if (pad) parts.push_back(AnyText());
    return Expression::Sequence(std::move(parts));
  }

  static Expression AnyText() {
    return Expression::Repeat(Expression::Set(CodePointSet({{0, kMaxCodePoint}})), 0,
                              Expression::kUnbounded);
  }

  absl::StatusOr<Expression> Repeated(Expression atom) {
    FLOE_ASSIGN_OR_RETURN(const auto repetition, text_.TakeRepetition());
    if (!repetition) return atom;
    text_.TakeIf(U'?');  // lazy: the same texts
    const char32_t next = text_.Peek();
    if (next == U'*' || next == U'+' || next == U'?' || next == U'{') {
      return text_.Wrong("a repetition is repeated; put the first in a group");
    }
    return Expression::Repeat(std::move(atom), repetition->least, repetition->most);
  }

  absl::StatusOr<Expression> Atom(int depth) {
    const char32_t c = text_.Peek();
    switch (c) {
      case U'(':
        return Group(depth);
      case U'[':
        text_.Take();
        return Class();
      case U'.':
        text_.Take();
        return Expression::Set(CodePointSet({{U'\n', U'\n'}}).Negated());
      case U'\\':
        return Escape();
      case U'^':
      case U'$':
        return text_.Wrong(
            "^ and $ may stand at the beginning and end of the expression alone; write \\^ or \\$ "
            "for the character");
      case U'*':
      case U'+':
      case U'?':
      case U'{':
        return text_.Wrong("nothing stands before a repetition; write it with a \\ before it");
      default:
        return Expression::Set(CodePointSet({{c, text_.Take()}}));
    }
  }

  absl::StatusOr<Expression> Group(int depth) {
    text_.Take();
    if (text_.TakeIf(U'?')) {
      const bool named = text_.TakeIf(U"P<") || (text_.LooksAt(U'<') && text_.Peek(1) != U'=' &&
                                                 text_.Peek(1) != U'!' && text_.TakeIf(U'<'));
      if (named) {
        while (!text_.done() && !text_.LooksAt(U'>')) text_.Take();
        if (!text_.TakeIf(U'>')) return text_.Wrong("a group's name has no > behind it");
      } else if (!text_.TakeIf(U':')) {
        return text_.Wrong(
            "(?…) other than (?:…), (?<name>…) and (?P<name>…), such as look-around and flags, is "
            "not supported");
      }
    }
    FLOE_ASSIGN_OR_RETURN(Expression group, Alternatives(depth + 1));
    if (!text_.TakeIf(U')')) return text_.Wrong("a ( has no ) behind it");
    return group;
  }

  // What stands behind a backslash: a set of one character or of many.
  absl::StatusOr<CodePointSet> EscapedSet() {
    text_.Take();
    if (text_.done()) return text_.Wrong("a \\ stands at the end");
    if (auto set = Shorthand(text_.Peek())) {
      text_.Take();
      return *std::move(set);
    }
    FLOE_ASSIGN_OR_RETURN(const char32_t c, EscapedCharacter());
    return CodePointSet({{c, c}});
  }

  absl::StatusOr<char32_t> EscapedCharacter() {
    const char32_t c = text_.Take();
    switch (c) {
      case U'n':
        return U'\n';
      case U't':
        return U'\t';
      case U'r':
        return U'\r';
      case U'f':
        return U'\f';
      case U'v':
        return U'\v';
      case U'0':
        return U'\0';
      case U'u':
        return text_.TakeHex(4);
      case U'x': {
        if (!text_.TakeIf(U'{')) return text_.TakeHex(2);
        FLOE_ASSIGN_OR_RETURN(const char32_t value, text_.TakeHex(0));
        if (!text_.TakeIf(U'}')) return text_.Wrong("\\x{ has no } behind it");
        return value;
      }
      default:
        break;
    }
    const bool word = (c >= U'0' && c <= U'9') || ((c | 0x20) >= U'a' && (c | 0x20) <= U'z');
    if (!word) return c;
    std::string name;
    tokenizer::AppendUtf8(c, name);
    return text_.Wrong(absl::StrCat("\\", name,
                                    " is not supported: known are \\d \\w \\s, their "
                                    "capitals, \\n \\t \\r \\f \\v \\0 \\x \\u and punctuation"));
  }

  absl::StatusOr<Expression> Escape() {
    FLOE_ASSIGN_OR_RETURN(CodePointSet set, EscapedSet());
    return Expression::Set(std::move(set));
  }

  // Behind the [.
  absl::StatusOr<Expression> Class() {
    const bool negated = text_.TakeIf(U'^');
    std::vector<Range> ranges;
    bool first = true;
    while (first || !text_.LooksAt(U']')) {
      first = false;
      if (text_.done()) return text_.Wrong("a [ has no ] behind it");
      if (text_.LooksAt(U'[') && text_.Peek(1) == U':') {
        return text_.Wrong("[:…:] is not supported; write the characters");
      }
      FLOE_ASSIGN_OR_RETURN(const CodePointSet from, ClassItem());
      const bool single =
          from.ranges().size() == 1 && from.ranges()[0].low == from.ranges()[0].high;
      if (!single || !text_.TakeRangeDash()) {
        ranges.insert(ranges.end(), from.ranges().begin(), from.ranges().end());
        continue;
      }
      FLOE_ASSIGN_OR_RETURN(const CodePointSet to, ClassItem());
      if (to.ranges().size() != 1 || to.ranges()[0].low != to.ranges()[0].high ||
          to.ranges()[0].low < from.ranges()[0].low) {
        return text_.Wrong("a range in [] must go from a character to a later one");
      }
      ranges.push_back({from.ranges()[0].low, to.ranges()[0].low});
    }
    text_.Take();
    const CodePointSet set(std::move(ranges));
    return Expression::Set(negated ? set.Negated() : set);
  }

  absl::StatusOr<CodePointSet> ClassItem() {
    if (text_.LooksAt(U'\\')) {
      if (text_.Peek(1) == U'b') return text_.Wrong("\\b in [] is not supported; write \\x08");
      return EscapedSet();
    }
    const char32_t c = text_.Take();
    return CodePointSet({{c, c}});
  }

  TextCursor text_;
  const RegexMatch match_;
};

}  // namespace

absl::StatusOr<Expression> ParseRegex(std::string_view pattern, RegexMatch match) {
  if (pattern.size() > kMaxRegexBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression has ", pattern.size(),
                                                   " bytes; write at most ", kMaxRegexBytes));
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<char32_t> text, CodePointsOf(pattern));
  return RegexParser(std::move(text), match).Parse();
}

}  // namespace floe::inference::grammar
