#include "billing/money/decimal.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr size_t kMaxDigits = 30;

absl::Status NoDecimal(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(text.substr(0, 50)), "\" is not a decimal number such as 0.15"));
}

}  // namespace

absl::StatusOr<Decimal> Decimal::Parse(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view body = text.substr(negative ? 1 : 0);
  const size_t point = body.find('.');
  std::string digits(body.substr(0, point));
  Decimal value;
  if (point != std::string_view::npos) {
    std::string_view fraction = body.substr(point + 1);
    if (fraction.empty()) return NoDecimal(text);
    while (!fraction.empty() && fraction.back() == '0') fraction.remove_suffix(1);
    digits += fraction;
    value.scale = static_cast<int>(std::min(fraction.size(), kMaxDigits + 1));
    if (digits.empty()) digits.push_back('0');  // ".0"
  }
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) {
    return NoDecimal(text);
  }
  if (digits.size() > kMaxDigits) {
    return absl::InvalidArgumentError(absl::StrCat("\"", AbslView(text.substr(0, 50)),
                                                   "\" has more than ", kMaxDigits, " digits"));
  }
  FLOE_ASSIGN_OR_RETURN(value.coefficient, ParseInt128((negative ? "-" : "") + digits));
  return value;
}

absl::StatusOr<Int128> Decimal::TimesPowerOfTen(int power) const {
  Int128 value = coefficient;
  for (int i = scale; i < power; ++i) {
    if (__builtin_mul_overflow(value, Int128{10}, &value)) {
      return absl::OutOfRangeError("a decimal number leaves 128 bits");
    }
  }
  for (int i = power; i < scale; ++i) {
    if (value % 10 != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(WriteDecimal(coefficient, scale), " has more than ", power, " decimals"));
    }
    value /= 10;
  }
  return value;
}

absl::StatusOr<Decimal> Multiply(Decimal a, Decimal b) {
  Decimal product;
  product.scale = a.scale + b.scale;
  if (__builtin_mul_overflow(a.coefficient, b.coefficient, &product.coefficient)) {
    return absl::OutOfRangeError("a product of decimal numbers leaves 128 bits");
  }
  return product;
}

std::string WriteDecimal(Int128 coefficient, int scale) {
  std::string digits = Int128ToString(coefficient);
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  const auto decimals = static_cast<size_t>(scale);
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  if (decimals > 0) {
    digits.insert(digits.size() - decimals, 1, '.');
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
  }
  return (negative ? "-" : "") + digits;
}

}  // namespace floe::billing
