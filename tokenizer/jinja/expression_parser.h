// The expressions inside tags, with Jinja2's precedence.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/token_stream.h"

namespace floe::tokenizer::jinja {

// Borrows the tokens. Not thread-safe.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // With "a if b else c", which the iterable of a `for` does not have.
  absl::StatusOr<ExpressionPtr> Condition();
  absl::StatusOr<ExpressionPtr> Or();

  // Functions that are none of the subset's: they must be macros of this template.
  struct Called {
    std::string name;
    int line;
  };
  const std::vector<Called>& called() const { return called_; }

 private:
  using Made = std::unique_ptr<Expression>;
  using Rule = absl::StatusOr<ExpressionPtr> (ExpressionParser::*)();

  Made New(ExpressionKind kind, std::string name = "") const;
  absl::Status Add(Expression& to, ExpressionPtr operand) const;
  absl::StatusOr<ExpressionPtr> Chain(Rule operand, std::initializer_list<std::string_view> names,
                                      TokenKind kind);
  absl::StatusOr<ExpressionPtr> And();
  absl::StatusOr<ExpressionPtr> Not();
  absl::StatusOr<ExpressionPtr> Comparison();
  absl::StatusOr<ExpressionPtr> Sum();
  absl::StatusOr<ExpressionPtr> Concat();
  absl::StatusOr<ExpressionPtr> Product();
  absl::StatusOr<ExpressionPtr> Unary();
  absl::StatusOr<ExpressionPtr> UnaryOperand(bool with_filters);
  absl::StatusOr<ExpressionPtr> Primary();
  absl::StatusOr<ExpressionPtr> NameOrConstant();
  absl::StatusOr<ExpressionPtr> Sequence(std::string_view end, ExpressionKind kind);
  absl::StatusOr<ExpressionPtr> Mapping();
  absl::StatusOr<ExpressionPtr> Postfix(ExpressionPtr operand);
  absl::StatusOr<ExpressionPtr> Subscript(ExpressionPtr operand);
  absl::StatusOr<ExpressionPtr> Call(ExpressionPtr operand);
  absl::StatusOr<ExpressionPtr> Filters(ExpressionPtr operand);
  absl::StatusOr<ExpressionPtr> Filter(ExpressionPtr operand);
  absl::StatusOr<ExpressionPtr> Test(ExpressionPtr operand);
  absl::Status Arguments(Expression& call);
  bool StartsOperand() const;

  TokenStream& tokens_;
  std::vector<Called> called_;
};

}  // namespace floe::tokenizer::jinja
