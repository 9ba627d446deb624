// Sets of Unicode scalar values, and the byte sequences of UTF-8 (RFC 3629) that spell them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::inference::grammar {

inline constexpr char32_t kMaxCodePoint = 0x10FFFF;

// A value: sorted, disjoint ranges without surrogates.
class CodePointSet {
 public:
  struct Range {
    char32_t low = 0;
    char32_t high = 0;  // included
    bool operator==(const Range&) const = default;
  };

  CodePointSet() = default;
  // Any ranges, in any order; what lies outside Unicode's scalar values is left out.
  explicit CodePointSet(std::vector<Range> ranges);

  CodePointSet Negated() const;
  CodePointSet Without(const CodePointSet& other) const;
  bool Contains(char32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }
  bool operator==(const CodePointSet&) const = default;

 private:
  std::vector<Range> ranges_;
};

// Between one and four byte ranges, one after the other: every choice of bytes is one character.
struct Utf8Sequence {
  struct ByteRange {
    uint8_t low = 0;
    uint8_t high = 0;
  };
  std::array<ByteRange, 4> bytes;
  int length = 0;
};

// Sequences that together spell exactly the characters of `set`, each once.
std::vector<Utf8Sequence> Utf8Sequences(const CodePointSet& set);

// The characters of a text; INVALID_ARGUMENT with the place of the first byte that is no UTF-8.
absl::StatusOr<std::vector<char32_t>> CodePointsOf(std::string_view text);

}  // namespace floe::inference::grammar
