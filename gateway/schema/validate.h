// The check of a value against a compiled schema.
#pragma once

#include <string>

#include "absl/status/status.h"
#include <nlohmann/json.hpp>

#include "gateway/schema/node.h"

namespace floe::gateway::schema {

inline constexpr int64_t kMaxSteps = 1'000'000;

// OK, or FAILED_PRECONDITION with the first breach found: `at /age: must be at least 0`. Recursion
// is bounded by the value's depth, that of the schema, and kMaxSteps.
absl::Status Validate(const Node& root, const nlohmann::json& value);

}  // namespace floe::gateway::schema
