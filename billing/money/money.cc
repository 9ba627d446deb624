#include "billing/money/money.h"

#include <algorithm>
#include <ostream>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "billing/money/decimal.h"

namespace floe::billing {
namespace {

using Uint128 = unsigned __int128;

absl::Status TooLarge(std::string_view what) {
  return absl::OutOfRangeError(absl::StrCat(AbslView(what), " leaves 128 bits of picodollars"));
}

Uint128 Magnitude(Int128 value) {
  return value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value);
}

}  // namespace

std::string Int128ToString(Int128 value) {
  std::string digits;
  Uint128 rest = Magnitude(value);
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  if (value < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

absl::StatusOr<Int128> ParseInt128(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", AbslView(text.substr(0, 50)), "\" is not a whole number"));
  }
  Int128 value = 0;
  for (const char digit : digits) {
    const int step = negative ? -(digit - '0') : digit - '0';
    if (__builtin_mul_overflow(value, Int128{10}, &value) ||
        __builtin_add_overflow(value, Int128{step}, &value)) {
      return TooLarge(text.substr(0, 50));
    }
  }
  return value;
}

absl::StatusOr<Money> Money::Parse(std::string_view picos) {
  FLOE_ASSIGN_OR_RETURN(const Int128 value, ParseInt128(picos));
  return Picos(value);
}

absl::StatusOr<Money> Money::ParseDollars(std::string_view dollars) {
  FLOE_ASSIGN_OR_RETURN(const Decimal value, Decimal::Parse(dollars));
  FLOE_ASSIGN_OR_RETURN(const Int128 picos, value.TimesPowerOfTen(12));
  return Picos(picos);
}

std::string Money::ToString() const { return Int128ToString(picos_); }

std::string Money::ToDollars() const {
  const Uint128 magnitude = Magnitude(picos_);
  const auto whole = static_cast<Int128>(magnitude / static_cast<Uint128>(kPicosPerDollar));
  std::string fraction =
      Int128ToString(static_cast<Int128>(magnitude % static_cast<Uint128>(kPicosPerDollar)));
  fraction.insert(0, 12 - fraction.size(), '0');
  while (fraction.size() > 2 && fraction.back() == '0') fraction.pop_back();
  return absl::StrCat(picos_ < 0 ? "-" : "", Int128ToString(whole), ".", fraction);
}

absl::StatusOr<Money> Add(Money a, Money b) {
  Int128 sum = 0;
  if (__builtin_add_overflow(a.picos(), b.picos(), &sum)) return TooLarge("a sum");
  return Money::Picos(sum);
}

absl::StatusOr<Money> Subtract(Money a, Money b) {
  Int128 difference = 0;
  if (__builtin_sub_overflow(a.picos(), b.picos(), &difference)) return TooLarge("a difference");
  return Money::Picos(difference);
}

absl::StatusOr<Money> Multiply(Money unit, int64_t quantity) {
  Int128 product = 0;
  if (__builtin_mul_overflow(unit.picos(), Int128{quantity}, &product)) {
    return TooLarge("a quantity times its price");
  }
  return Money::Picos(product);
}

Money RoundToCent(Money amount) {
  const Int128 cents = amount.picos() / Money::kPicosPerCent;
  const Int128 rest = amount.picos() % Money::kPicosPerCent;
  const Int128 half = Money::kPicosPerCent / 2;
  const int step = rest >= half ? 1 : rest <= -half ? -1 : 0;
  return Money::Picos((cents + step) * Money::kPicosPerCent);
}

std::ostream& operator<<(std::ostream& out, Money amount) {
  return out << '$' << amount.ToDollars();
}

}  // namespace floe::billing
