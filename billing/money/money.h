// Amounts of money: whole picodollars (10^-12 dollars) in 128 bits. No floating point, no rounding;
// arithmetic that leaves the range is an error and never wraps.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::billing {

using Int128 = __int128;

std::string Int128ToString(Int128 value);
// Optional '-' and digits. INVALID_ARGUMENT otherwise, OUT_OF_RANGE beyond 128 bits.
absl::StatusOr<Int128> ParseInt128(std::string_view text);

// A value. The currency is kept beside it (all of one ledger have the same).
class Money {
 public:
  static constexpr Int128 kPicosPerDollar = 1'000'000'000'000;
  static constexpr Int128 kPicosPerCent = kPicosPerDollar / 100;

  constexpr Money() = default;
  static constexpr Money Picos(Int128 picos) { return Money(picos); }
  static constexpr Money Dollars(int64_t dollars) { return Money(dollars * kPicosPerDollar); }

  // "150000", "-3": whole picodollars, the form of contracts and of the database.
  static absl::StatusOr<Money> Parse(std::string_view picos);
  // "0.15", "-12": dollars. INVALID_ARGUMENT when finer than a picodollar.
  static absl::StatusOr<Money> ParseDollars(std::string_view dollars);

  constexpr Int128 picos() const { return picos_; }
  constexpr bool is_zero() const { return picos_ == 0; }

  // Whole picodollars: the inverse of Parse.
  std::string ToString() const;
  // Dollars, exact, with at least two decimals: "0.15", "-3.00", "0.00000015".
  std::string ToDollars() const;

  constexpr Money operator-() const { return Money(-picos_); }
  constexpr auto operator<=>(const Money&) const = default;

 private:
  explicit constexpr Money(Int128 picos) : picos_(picos) {}
  Int128 picos_ = 0;
};

// OUT_OF_RANGE beyond 128 bits.
absl::StatusOr<Money> Add(Money a, Money b);
absl::StatusOr<Money> Subtract(Money a, Money b);
absl::StatusOr<Money> Multiply(Money unit, int64_t quantity);

// To the nearest cent, halves away from zero. Called once a month, by the invoice.
Money RoundToCent(Money amount);

// Prints "$1.50" in test failures and reports.
std::ostream& operator<<(std::ostream& out, Money amount);

}  // namespace floe::billing
