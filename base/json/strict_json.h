// JSON from outside: parsed only when every reader would see the same in it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace floe {

inline constexpr int kMaxJsonDepth = 64;

// Whether JSON text has more than kMaxJsonDepth lists and objects inside one another: writing such
// a value out again, and reading it into others, are recursions. Of text that is no JSON, anything.
bool NestsTooDeep(std::string_view text);

// INVALID_ARGUMENT, its message beginning with `what`, for text that is not JSON, holds a member
// twice, or nests too deep.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text, std::string_view what);

// A value as an error message shows it: short, on one line.
std::string ShownJson(const nlohmann::json& value);

}  // namespace floe
