#include "inference/grammar/json_rules.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace floe::inference::grammar {
namespace {

constexpr int kMaxIndent = 40;

Expression Text(std::string text) { return Expression::Literal(std::move(text)); }

// What stands in a string as it is.
CodePointSet PlainCharacters() {
  return CodePointSet({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kMaxCodePoint}});
}

CodePointSet AsciiSet(std::vector<CodePointSet::Range> ranges) {
  return CodePointSet(std::move(ranges));
}

Expression Digits(int least, int most) {
  return Expression::Repeat(Expression::Set(AsciiSet({{'0', '9'}})), least, most);
}

Expression HexDigits(int count) {
  return Expression::Repeat(Expression::Set(AsciiSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}})), count,
                            count);
}

// \uXXXX: a character of the basic plane, or a pair of surrogates.
Expression UnicodeEscape() {
  const auto one_of = [](std::vector<CodePointSet::Range> ranges) {
    return Expression::Set(AsciiSet(std::move(ranges)));
  };
  const auto d = one_of({{'D', 'D'}, {'d', 'd'}});
  return Expression::Choice(
      {Expression::Sequence({Text("\\u"),
                             one_of({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}),
                             HexDigits(3)}),
       Expression::Sequence({Text("\\u"), d, one_of({{'0', '7'}}), HexDigits(2)}),
       Expression::Sequence({Text("\\u"), d, one_of({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}),
                             HexDigits(2), Text("\\u"), d, one_of({{'C', 'F'}, {'c', 'f'}}),
                             HexDigits(2)})});
}

Expression NumberBody() {
  const auto digit = [](char32_t low) { return Expression::Set(AsciiSet({{low, '9'}})); };
  const auto sign = Expression::Set(AsciiSet({{'+', '+'}, {'-', '-'}}));
  return Expression::Sequence(
      {Expression::Optional(Text("-")),
       Expression::Choice({Text("0"), Expression::Sequence({digit('1'), Digits(0, 14)})}),
       Expression::Optional(Expression::Sequence({Text("."), Digits(1, 15)})),
       Expression::Optional(
           Expression::Sequence({Expression::Set(AsciiSet({{'E', 'E'}, {'e', 'e'}})),
                                 Expression::Optional(sign), Digits(1, 2)}))});
}

}  // namespace

int JsonRules::Add(std::string name, Expression body) {
  draft_.rules.push_back({std::move(name), std::move(body)});
  return static_cast<int>(draft_.rules.size()) - 1;
}

Expression JsonRules::Call(std::string name, Expression body) {
  return Expression::Rule(Add(std::move(name), std::move(body)));
}

Expression JsonRules::Space() {
  if (!space_) {
    const auto blank = Expression::Set(AsciiSet({{'\t', '\t'}, {' ', ' '}}));
    space_ =
        Add("space",
            Expression::Choice(
                {Expression::Sequence({}), Text(" "),
                 Expression::Sequence({Text("\n"), Expression::Repeat(blank, 0, kMaxIndent)})}));
  }
  return Expression::Rule(*space_);
}

Expression JsonRules::Character() {
  if (!character_) {
    const auto named = Expression::Set(AsciiSet({{'"', '"'},
                                                 {'/', '/'},
                                                 {'\\', '\\'},
                                                 {'b', 'b'},
                                                 {'f', 'f'},
                                                 {'n', 'n'},
                                                 {'r', 'r'},
                                                 {'t', 't'}}));
    character_ = Add("character", Expression::Choice({Expression::Set(PlainCharacters()),
                                                      Expression::Sequence({Text("\\"), named}),
                                                      UnicodeEscape()}));
  }
  return Expression::Rule(*character_);
}

Expression JsonRules::String(int least, int most) {
  return Expression::Sequence(
      {Text("\""), Expression::Repeat(Character(), least, most), Text("\"")});
}

Expression JsonRules::Number() {
  if (!number_) number_ = Add("number", NumberBody());
  return Expression::Rule(*number_);
}

Expression JsonRules::MemberOf(Expression key, Expression value) {
  return Expression::Sequence({std::move(key), Text(":"), Space(), std::move(value)});
}

Expression JsonRules::Member(const std::string& name, Expression value) {
  return MemberOf(Text(nlohmann::json(name).dump()), std::move(value));
}

Expression JsonRules::Value(int levels) {
  std::optional<int>& known = value_[static_cast<size_t>(levels)];
  if (!known) {
    std::vector<Expression> kinds = {String(), Number(), Text("true"), Text("false"), Text("null")};
    if (levels > 0) {
      kinds.push_back(Object(levels));
      kinds.push_back(Array(levels));
    }
    known = Add("value", Expression::Choice(std::move(kinds)));
  }
  return Expression::Rule(*known);
}

Expression JsonRules::Object(int levels) {
  std::optional<int>& known = object_[static_cast<size_t>(levels)];
  if (!known) {
    const Expression member = Call("member", MemberOf(String(), Value(levels - 1)));
    const Expression more = Expression::Sequence({Text(","), Space(), member});
    known = Add("object", Expression::Sequence(
                              {Text("{"), Space(),
                               Expression::Optional(Expression::Sequence(
                                   {member, Expression::Repeat(more, 0, Expression::kUnbounded)})),
                               Space(), Text("}")}));
  }
  return Expression::Rule(*known);
}

Expression JsonRules::Array(int levels) {
  std::optional<int>& known = array_[static_cast<size_t>(levels)];
  if (!known) {
    known = Add("array", ArrayOf({}, Value(levels - 1), 0, Expression::kUnbounded));
  }
  return Expression::Rule(*known);
}

Expression JsonRules::ArrayOf(std::vector<Expression> first, Expression item, int least, int most) {
  std::vector<Expression> parts = {Text("["), Space()};
  const bool has_first = !first.empty();
  for (size_t i = 0; i < first.size(); ++i) {
    if (i > 0) {
      parts.push_back(Text(","));
      parts.push_back(Space());
    }
    parts.push_back(std::move(first[i]));
  }
  Expression more = Expression::Sequence({Text(","), Space(), item});
  if (has_first) {
    parts.push_back(Expression::Repeat(std::move(more), least, most));
  } else if (most != 0) {
    const int one_less = most == Expression::kUnbounded ? most : most - 1;
    Expression some = Expression::Sequence(
        {std::move(item), Expression::Repeat(std::move(more), std::max(0, least - 1), one_less)});
    parts.push_back(least == 0 ? Expression::Optional(std::move(some)) : std::move(some));
  }
  parts.push_back(Space());
  parts.push_back(Text("]"));
  return Expression::Sequence(std::move(parts));
}

namespace {

// Each set of characters as JSON writes them in a string.
Expression Escaped(const Expression& content) {
  if (content.kind != Expression::Kind::kSet) {
    Expression copy = content;
    for (Expression& part : copy.parts) part = Escaped(part);
    return copy;
  }
  constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kLetter = "\"\\bfnrt";
  std::vector<Expression> ways;
  const CodePointSet apart = PlainCharacters().Negated();
  if (CodePointSet plain = content.set.Without(apart); !plain.empty()) {
    ways.push_back(Expression::Set(std::move(plain)));
  }
  for (size_t i = 0; i < kPlain.size(); ++i) {
    if (!content.set.Contains(static_cast<unsigned char>(kPlain[i]))) continue;
    ways.push_back(Text(std::string{'\\', kLetter[i]}));
  }
  if (ways.size() == 1) return std::move(ways.front());
  return Expression::Choice(std::move(ways));
}

// The names, from character `at` on, as a tree of their characters: what is not one of them.
Expression Except(const std::vector<std::vector<char32_t>>& names, size_t at) {
  std::map<char32_t, std::vector<std::vector<char32_t>>> by_character;
  bool is_name = false;
  for (const auto& name : names) {
    if (name.size() == at) {
      is_name = true;
    } else {
      by_character[name[at]].push_back(name);
    }
  }
  std::vector<Expression> ways;
  std::vector<CodePointSet::Range> taken;
  for (const auto& [c, same] : by_character) {
    taken.push_back({c, c});
    ways.push_back(
        Expression::Sequence({Expression::Set(CodePointSet({{c, c}})), Except(same, at + 1)}));
  }
  const auto plain = Expression::Set(PlainCharacters());
  ways.push_back(Expression::Sequence(
      {Expression::Set(PlainCharacters().Without(CodePointSet(std::move(taken)))),
       Expression::Repeat(plain, 0, Expression::kUnbounded), Text("\"")}));
  if (!is_name) ways.push_back(Text("\""));
  return Expression::Choice(std::move(ways));
}

}  // namespace

Expression JsonStringOf(const Expression& content) {
  return Expression::Sequence({Text("\""), Escaped(content), Text("\"")});
}

Expression JsonStringExcept(const std::vector<std::string>& names) {
  std::vector<std::vector<char32_t>> plain;
  for (const std::string& name : names) {
    const auto characters = CodePointsOf(name);
    // One that must be escaped is never written without escapes.
    if (!characters.ok() || std::any_of(characters->begin(), characters->end(), [](char32_t c) {
          return !PlainCharacters().Contains(c);
        })) {
      continue;
    }
    plain.push_back(*characters);
  }
  return Expression::Sequence({Text("\""), Except(plain, 0)});
}

}  // namespace floe::inference::grammar
