// JSON in the one form that a digest can be taken of: RFC 8785 (JCS). No white space, members
// sorted by UTF-16 code units, shortest numbers in ECMAScript's notation, only the necessary
// escapes.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::model {

// The canonical bytes of any JSON text. INVALID_ARGUMENT for what is not JSON, holds a member
// twice, nests deeper than 64 levels, or holds a whole number beyond 2^53, which readers would
// round.
absl::StatusOr<std::string> CanonicalJson(std::string_view json);

// A finite number as ECMAScript's Number::toString writes it; the rule of RFC 8785,
// section 3.2.2.3.
std::string CanonicalNumber(double value);

}  // namespace floe::model
