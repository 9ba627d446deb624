// What the front ends (regex.h, ebnf.h, json_schema.h) read a text into: rules over characters,
// as a value.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "inference/grammar/code_points.h"

namespace floe::inference::grammar {

// A tree. A sequence of nothing is the empty text; a choice of nothing matches no text.
struct Expression {
  enum class Kind { kLiteral, kSet, kSequence, kChoice, kRepeat, kRule };
  static constexpr int kUnbounded = -1;

  Kind kind = Kind::kSequence;
  std::string literal;            // of kLiteral: its bytes
  CodePointSet set;               // of kSet: one character of it
  std::vector<Expression> parts;  // of kSequence, kChoice; of kRepeat the one that repeats
  int least = 0;                  // of kRepeat
  int most = kUnbounded;          // of kRepeat
  int rule = 0;                   // of kRule: its index

  static Expression Literal(std::string bytes) {
    return {.kind = Kind::kLiteral, .literal = std::move(bytes)};
  }
  static Expression Set(CodePointSet set) { return {.kind = Kind::kSet, .set = std::move(set)}; }
  static Expression Sequence(std::vector<Expression> parts) {
    return {.kind = Kind::kSequence, .parts = std::move(parts)};
  }
  static Expression Choice(std::vector<Expression> parts) {
    return {.kind = Kind::kChoice, .parts = std::move(parts)};
  }
  static Expression Repeat(Expression part, int least, int most) {
    Expression repeat{.kind = Kind::kRepeat, .least = least, .most = most};
    repeat.parts.push_back(std::move(part));
    return repeat;
  }
  static Expression Optional(Expression part) { return Repeat(std::move(part), 0, 1); }
  static Expression Rule(int rule) { return {.kind = Kind::kRule, .rule = rule}; }
};

struct Rule {
  std::string name;  // for messages
  Expression body;
};

// Rule 0 is the root.
struct Draft {
  std::vector<Rule> rules;
};

}  // namespace floe::inference::grammar
