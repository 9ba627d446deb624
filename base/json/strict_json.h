// JSON from outside: parsed only when every reader would see the same in it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace floe {

// INVALID_ARGUMENT, its message beginning with `what`, for text that is not JSON, holds a member
// twice, or nests deeper than 64 levels (writing a parsed value out again recurses).
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text, std::string_view what);

// A value as an error message shows it: short, on one line.
std::string ShownJson(const nlohmann::json& value);

}  // namespace floe
