// The filters, tests and methods of the subset (names.h lists them), as functions of values.
//
// Pure but for the budget. Errors: INVALID_ARGUMENT where a value or an argument does not fit,
// RESOURCE_EXHAUSTED from the budget.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `index` or of that name; null: neither.
  const Value* Find(size_t index, std::string_view name) const;
};

absl::StatusOr<Value> ApplyFilter(std::string_view name, const Value& operand,
                                  const Arguments& arguments, Budget& budget);
absl::StatusOr<bool> ApplyTest(std::string_view name, const Value& operand,
                               const std::vector<Value>& arguments, Budget& budget);
absl::StatusOr<Value> CallMethod(std::string_view name, const Value& operand,
                                 const std::vector<Value>& arguments, Budget& budget);

// operand.name, which is undefined where there is none. INVALID_ARGUMENT of an undefined operand.
absl::StatusOr<Value> Attribute(const Value& operand, std::string_view name);

// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: on one line.
absl::StatusOr<std::string> ToJson(const Value& value, int64_t indent, Budget& budget);

}  // namespace floe::tokenizer::jinja
