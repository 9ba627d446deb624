#include "inference/grammar/code_points.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "tokenizer/unicode/utf8.h"

namespace floe::inference::grammar {
namespace {

using Range = CodePointSet::Range;

constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;
// The last code point of each length in bytes.
constexpr std::array<char32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kMaxCodePoint};

Utf8Sequence Between(char32_t low, char32_t high) {
  std::string first, last;
  tokenizer::AppendUtf8(low, first);
  tokenizer::AppendUtf8(high, last);
  Utf8Sequence sequence;
  sequence.length = static_cast<int>(first.size());
  for (size_t i = 0; i < first.size(); ++i) {
    sequence.bytes[i] = {static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i])};
  }
  return sequence;
}

// Cuts [low, high], whose code points have one length, where a byte other than the last differs
// and the bytes behind it do not run from their lowest to their highest.
void AppendSequences(char32_t low, char32_t high, std::vector<Utf8Sequence>& out) {
  for (int bits = 6; bits <= 18; bits += 6) {
    const char32_t tail = (char32_t{1} << bits) - 1;
    if ((low & ~tail) == (high & ~tail)) break;  // they differ in the tail alone
    if ((low & tail) != 0) {
      AppendSequences(low, low | tail, out);
      AppendSequences((low | tail) + 1, high, out);
      return;
    }
    if ((high & tail) != tail) {
      AppendSequences(low, (high & ~tail) - 1, out);
      AppendSequences(high & ~tail, high, out);
      return;
    }
  }
  out.push_back(Between(low, high));
}

}  // namespace

CodePointSet::CodePointSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.low < b.low; });
  const auto add = [&](char32_t low, char32_t high) {
    if (low > high) return;
    if (!ranges_.empty() && low <= ranges_.back().high + 1) {
      ranges_.back().high = std::max(ranges_.back().high, high);
    } else {
      ranges_.push_back({low, high});
    }
  };
  for (const Range& range : ranges) {
    const char32_t high = std::min(range.high, kMaxCodePoint);
    add(range.low, std::min<char32_t>(high, kFirstSurrogate - 1));
    add(std::max<char32_t>(range.low, kLastSurrogate + 1), high);
  }
}

CodePointSet CodePointSet::Negated() const {
  std::vector<Range> gaps;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.low > next) gaps.push_back({next, range.low - 1});
    next = range.high + 1;
  }
  if (next <= kMaxCodePoint) gaps.push_back({next, kMaxCodePoint});
  return CodePointSet(std::move(gaps));
}

CodePointSet CodePointSet::Without(const CodePointSet& other) const {
  std::vector<Range> both = Negated().ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(both)).Negated();
}

bool CodePointSet::Contains(char32_t code_point) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code_point,
                                      [](char32_t c, const Range& range) { return c < range.low; });
  return after != ranges_.begin() && code_point <= std::prev(after)->high;
}

std::vector<Utf8Sequence> Utf8Sequences(const CodePointSet& set) {
  std::vector<Utf8Sequence> sequences;
  for (const Range& range : set.ranges()) {
    char32_t low = range.low;
    for (const char32_t last : kLastOfLength) {
      if (low > last) continue;
      AppendSequences(low, std::min(last, range.high), sequences);
      low = last + 1;
      if (low > range.high) break;
    }
  }
  return sequences;
}

absl::StatusOr<std::vector<char32_t>> CodePointsOf(std::string_view text) {
  std::vector<char32_t> code_points;
  code_points.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const tokenizer::Utf8Char c = tokenizer::ReadUtf8(text, at);
    if (c.code_point == tokenizer::kNotUtf8) {
      return absl::InvalidArgumentError(absl::StrCat("byte ", at, " is not UTF-8"));
    }
    code_points.push_back(c.code_point);
    at += c.length;
  }
  return code_points;
}

}  // namespace floe::inference::grammar
