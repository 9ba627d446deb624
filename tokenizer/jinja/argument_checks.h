// What filters, tests and methods share: checks of their arguments, and what several of them do.
// Pure but for the budget.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/python_text.h"
#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

// INVALID_ARGUMENT: `what` does not work on such an operand.
absl::Status WrongKind(std::string_view what, const Value& operand);
// INVALID_ARGUMENT unless `least` <= `given` <= `most`.
absl::Status CheckCount(std::string_view what, size_t given, size_t least, size_t most);
absl::StatusOr<const Text*> TextArgument(std::string_view what, const Value& value);
absl::StatusOr<int64_t> IntegerArgument(std::string_view what, const Value& value);

// upper, lower, capitalize.
std::optional<Case> CaseOf(std::string_view name);
// The pairs of a mapping, as lists of two.
absl::StatusOr<Value> Items(const Value& operand, Budget& budget);
absl::StatusOr<Value> ReplaceIn(const Text& text, const Value& from, const Value& to,
                                Budget& budget);

}  // namespace floe::tokenizer::jinja
