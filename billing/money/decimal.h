// Decimal numbers as people write them, exact: a whole number and a power of ten.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "billing/money/money.h"

namespace floe::billing {

struct Decimal {
  Int128 coefficient = 0;
  int scale = 0;  // the value is coefficient / 10^scale; 0 to 30

  // "12", "-0.075", ".5": at most 30 digits; no exponent, no separators, no sign '+'.
  // INVALID_ARGUMENT otherwise.
  static absl::StatusOr<Decimal> Parse(std::string_view text);

  // The value × 10^power when that is whole; INVALID_ARGUMENT when it is not, OUT_OF_RANGE beyond
  // 128 bits.
  absl::StatusOr<Int128> TimesPowerOfTen(int power) const;
};

absl::StatusOr<Decimal> Multiply(Decimal a, Decimal b);

// quantity / 10^power, written without trailing zeros: (1234567, 6) is "1.234567".
std::string WriteDecimal(Int128 coefficient, int scale);

}  // namespace floe::billing
