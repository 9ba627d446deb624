// Decimal numbers between bounds, as expressions.
#pragma once

#include <cstdint>
#include <optional>

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

// Most digits of an integer: with 15 every one is exact as a double.
inline constexpr int kMaxDigits = 15;
inline constexpr int64_t kMaxInteger = 999'999'999'999'999;
// Bounds of a number with a fraction, of at most six digits, stay exact too.
inline constexpr int64_t kMaxNumberBound = 1'000'000'000;

struct NumberBounds {
  std::optional<int64_t> least;  // within [-kMaxInteger, kMaxInteger]
  std::optional<int64_t> most;
  bool above_least = false;  // the bound itself is left out; for numbers
  bool below_most = false;
};

// Integers from `least` to `most`, both included; no leading zeros, no -0.
Expression IntegerBetween(const NumberBounds& bounds);
// Numbers, with up to six digits behind the point.
Expression NumberBetween(const NumberBounds& bounds);

}  // namespace floe::inference::grammar
