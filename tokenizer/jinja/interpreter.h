// One rendering of one template: goes through its tree once. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/budget.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/template.h"

namespace floe::tokenizer::jinja {

// Borrows the tree for the values that refer to it.
class Interpreter {
 public:
  explicit Interpreter(RenderInput input);

  absl::StatusOr<Rendering> Run(const Block& body);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  // Names assigned in a part of the template, and those around it.
  struct Scope {
    Scope* outer;
    std::map<std::string, Value, std::less<>> names;
  };

  absl::StatusOr<Flow> Execute(const Block& block);
  absl::StatusOr<Flow> Execute(const Statement& statement);
  absl::StatusOr<Flow> If(const Statement& statement);
  absl::StatusOr<Flow> For(const Statement& statement);
  absl::StatusOr<Value> LoopItems(const Statement& statement);
  absl::Status Bind(const std::vector<std::string>& targets, Value value);
  absl::Status Set(const Statement& statement);
  absl::Status Generate(const Statement& statement);
  absl::Status Write(const Text& text);
  absl::StatusOr<Text> Capture(const Block& block);

  // What `expression` is; an error gets the line where it arose.
  absl::StatusOr<Value> Evaluate(const Expression& expression);
  absl::StatusOr<Value> Compute(const Expression& expression);
  absl::StatusOr<Value> Variable(const std::string& name) const;
  absl::StatusOr<Value> Binary(const Expression& expression);
  absl::StatusOr<Value> Add(const Value& a, const Value& b);
  absl::StatusOr<Value> Multiply(const Value& a, const Value& b);
  absl::StatusOr<Value> Unary(const Expression& expression);
  absl::StatusOr<Value> Comparison(const Expression& expression);
  absl::StatusOr<Value> Concat(const Expression& expression);
  absl::StatusOr<Value> Subscript(const Expression& expression);
  absl::StatusOr<Value> Slice(const Expression& expression);
  absl::StatusOr<Value> MapOf(const Expression& expression);
  absl::StatusOr<std::vector<Value>> Operands(const Expression& expression, size_t from);
  absl::StatusOr<Arguments> ArgumentsOf(const Expression& expression, size_t from);
  absl::StatusOr<Value> Call(const Expression& expression);
  absl::StatusOr<Value> CallMacro(const Statement& macro, const Arguments& arguments);
  absl::StatusOr<Value> Range(const Arguments& arguments);
  absl::StatusOr<Value> Now(const Arguments& arguments) const;

  const std::optional<absl::Time> now_;
  Budget budget_;
  Scope globals_;
  Scope* scope_ = &globals_;
  Rendering rendering_;
  Text* out_ = &rendering_.text;
  int level_ = 0;
  int error_line_ = 0;
};

}  // namespace floe::tokenizer::jinja
