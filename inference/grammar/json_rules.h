// JSON texts (RFC 8259) as expressions, for the front ends that describe values.
//
// White space is kept short, so that no model goes on with it for ever: none before , and :, and
// elsewhere one space, or one line break with up to 40 spaces or tabs. What may be any value nests
// at most 16 levels.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

// Adds the rules that many places need to a draft, each when it is first asked for. Borrows the
// draft. Not thread-safe.
class JsonRules {
 public:
  static constexpr int kMaxLevels = 16;

  explicit JsonRules(Draft& draft) : draft_(draft) {}

  // A rule of the draft, and a call of it.
  int Add(std::string name, Expression body);
  Expression Call(std::string name, Expression body);

  Expression Space();
  // One character of a string, as itself or escaped.
  Expression Character();
  Expression String(int least = 0, int most = Expression::kUnbounded);
  Expression Number();
  // Any value, of at most so many levels of objects and arrays.
  Expression Value(int levels = kMaxLevels);
  Expression Object(int levels = kMaxLevels);
  Expression Array(int levels = kMaxLevels);
  // `"name": value`.
  Expression Member(const std::string& name, Expression value);
  // [ … ] with `first` in front, and then between `least` and `most` of `item`.
  Expression ArrayOf(std::vector<Expression> first, Expression item, int least, int most);

 private:
  Expression MemberOf(Expression key, Expression value);

  Draft& draft_;
  std::optional<int> space_, character_, number_;
  std::array<std::optional<int>, kMaxLevels + 1> value_, object_, array_;
};

// A JSON string (with its quotes) whose content `content` describes: what JSON must escape is
// escaped in the short way. `content` is made of sets alone, as ParseRegex gives it.
Expression JsonStringOf(const Expression& content);

// A JSON string, written without escapes, that is none of `names`.
Expression JsonStringExcept(const std::vector<std::string>& names);

}  // namespace floe::inference::grammar
