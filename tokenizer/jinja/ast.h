// A template as a tree. Built by the parser alone, which bounds its depth; immutable then.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kLiteral,
  kName,
  kList,
  kTuple,
  kMap,         // operands: key, value, key, value …; keys are texts
  kAttribute,   // operands[0].name
  kSubscript,   // operands[0][operands[1]]
  kSlice,       // operands[0][1:2:3]; null: not given
  kFunction,    // name(operands…, named…)
  kMethod,      // operands[0].name(operands[1]…)
  kFilter,      // operands[0] | name(operands[1]…, named…)
  kTest,        // operands[0] is name(operands[1]…)
  kUnary,       // name: - + not
  kBinary,      // name: + - * / // % and or
  kComparison,  // operands[0] names[0] operands[1] names[1] …: == != < <= > >= in, not in
  kConcat,      // ~ of all operands
  kCondition,   // operands[1] if operands[0] else operands[2]; null: no else
};

struct Expression {
  ExpressionKind kind;
  int line = 1;
  std::string name;
  Value literal;
  std::vector<ExpressionPtr> operands;
  std::vector<std::string> names;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  int depth = 1;
};

struct Statement;
using Block = std::vector<std::unique_ptr<const Statement>>;

enum class StatementKind {
  kText,
  kOutput,      // {{ expression }}
  kIf,          // branches
  kFor,         // targets in expression if condition: body, else otherwise
  kSet,         // targets = expression, or target.attribute = expression
  kSetBlock,    // target = what body writes
  kMacro,       // attribute(targets…): body; defaults beside the last targets
  kGeneration,  // body, which is what the assistant says
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  int line = 1;
  Text text;
  std::vector<std::string> targets;
  std::string attribute;
  ExpressionPtr expression;
  ExpressionPtr condition;
  std::vector<ExpressionPtr> defaults;
  std::vector<std::pair<ExpressionPtr, Block>> branches;  // null condition: else
  Block body;
  Block otherwise;
};

}  // namespace floe::tokenizer::jinja
