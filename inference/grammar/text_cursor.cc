#include "inference/grammar/text_cursor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::inference::grammar {
namespace {

// The value of a hexadecimal digit; -1 for another character.
int HexValue(char32_t c) {
  if (c >= U'0' && c <= U'9') return static_cast<int>(c - U'0');
  if (c >= U'a' && c <= U'f') return static_cast<int>(c - U'a') + 10;
  if (c >= U'A' && c <= U'F') return static_cast<int>(c - U'A') + 10;
  return -1;
}

}  // namespace

absl::Status TextCursor::Wrong(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat("at character ", at_, ": ", AbslView(what)));
}

absl::StatusOr<int> TextCursor::TakeNumber(int most) {
  int number = -1;
  while (Peek() >= U'0' && Peek() <= U'9') {
    number = std::max(number, 0) * 10 + static_cast<int>(Take() - U'0');
    if (number > most) return Wrong(absl::StrCat("a number is above ", most));
  }
  return number;
}

absl::StatusOr<char32_t> TextCursor::TakeHex(int digits) {
  char32_t value = 0;
  int taken = 0;
  for (; taken < (digits == 0 ? 8 : digits) && HexValue(Peek()) >= 0; ++taken) {
    value = value * 16 + static_cast<char32_t>(HexValue(Take()));
  }
  if (taken == 0 || (digits != 0 && taken != digits)) {
    return Wrong("a hexadecimal number is not complete");
  }
  if (value > kMaxCodePoint || (value >= 0xD800 && value <= 0xDFFF)) {
    return Wrong("a hexadecimal number is no Unicode character");
  }
  return value;
}

absl::StatusOr<std::optional<Repetition>> TextCursor::TakeRepetition() {
  if (TakeIf(U'*')) return Repetition{0, Expression::kUnbounded};
  if (TakeIf(U'+')) return Repetition{1, Expression::kUnbounded};
  if (TakeIf(U'?')) return Repetition{0, 1};
  if (!TakeIf(U'{')) return std::nullopt;
  Repetition repetition;
  FLOE_ASSIGN_OR_RETURN(repetition.least, TakeNumber(kMaxRepeat));
  repetition.most = repetition.least;
  if (TakeIf(U',')) {
    FLOE_ASSIGN_OR_RETURN(repetition.most, TakeNumber(kMaxRepeat));  // -1: unbounded
  }
  const bool falls = repetition.most >= 0 && repetition.most < repetition.least;
  if (repetition.least < 0 || falls || !TakeIf(U'}')) {
    return Wrong("a repetition is {n}, {n,} or {n,m}");
  }
  return repetition;
}

bool TextCursor::TakeRangeDash() {
  if (!LooksAt(U'-') || at_ + 1 >= text_.size() || Peek(1) == U']') return false;
  Take();
  return true;
}

}  // namespace floe::inference::grammar
