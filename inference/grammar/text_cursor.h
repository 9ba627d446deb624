// Characters of a text in the hands of a parser: what the front ends share. Not thread-safe.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

inline constexpr int kMaxNesting = 64;  // of groups
inline constexpr int kMaxRepeat = 65535;

struct Repetition {
  int least = 0;
  int most = Expression::kUnbounded;
};

class TextCursor {
 public:
  explicit TextCursor(std::vector<char32_t> text) : text_(std::move(text)) {}

  bool done() const { return at_ >= text_.size(); }
  size_t position() const { return at_; }
  // 0 past the end.
  char32_t Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0;
  }
  bool LooksAt(char32_t c) const { return !done() && text_[at_] == c; }
  char32_t Take() { return text_[at_++]; }
  bool TakeIf(char32_t c) {
    if (!LooksAt(c)) return false;
    ++at_;
    return true;
  }
  bool TakeIf(std::u32string_view word) {
    for (size_t i = 0; i < word.size(); ++i) {
      if (at_ + i >= text_.size() || text_[at_ + i] != word[i]) return false;
    }
    at_ += word.size();
    return true;
  }

  // INVALID_ARGUMENT: `what` is wrong here.
  absl::Status Wrong(std::string_view what) const;

  // A decimal number up to `most`; -1 where there is none.
  absl::StatusOr<int> TakeNumber(int most);
  // The character of exactly `digits` hexadecimal digits, or with 0 of as many as there are.
  absl::StatusOr<char32_t> TakeHex(int digits);
  // * + ? {n} {n,} {n,m}; nothing where none of them stands.
  absl::StatusOr<std::optional<Repetition>> TakeRepetition();
  // Whether this is a - between two characters of a set, behind the first; it is taken then.
  bool TakeRangeDash();

 private:
  const std::vector<char32_t> text_;
  size_t at_ = 0;
};

}  // namespace floe::inference::grammar
