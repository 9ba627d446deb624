// Byte-pair merging: which two neighbouring tokens become one, and in which order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

// Immutable once built, thread-safe. Lookup is one probe into an open-addressing table.
class MergeTable {
 public:
  static constexpr uint32_t kNoMerge = 0xFFFFFFFF;
  struct Entry {
    uint64_t key = ~uint64_t{0};  // left << 32 | right
    uint32_t rank = kNoMerge;     // position in the list of merges; smaller merges first
    TokenId result = -1;
  };

  // A pair listed twice takes its later place, as Hugging Face reads such files.
  // With `equal_merges`, neighbours in the list that have one result are of one rank.
  explicit MergeTable(std::span<const Merge> merges, bool equal_merges = false);

  // rank is kNoMerge when the pair does not merge.
  Entry Find(TokenId left, TokenId right) const {
    const uint64_t key = Key(left, right);
    for (size_t slot = Hash(key) & mask_;; slot = (slot + 1) & mask_) {
      const Entry& entry = slots_[slot];
      if (entry.key == key || entry.rank == kNoMerge) return entry;
    }
  }

  // Merges `symbols` in place until no pair is left: always the smallest rank, the leftmost of
  // equals. Time grows linearly with the number of symbols, which must be below 2^32.
  void Apply(std::vector<TokenId>& symbols) const;

 private:
  static uint64_t Key(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  static uint64_t Hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15;
    return key ^ (key >> 32);
  }
  void ApplyShort(std::vector<TokenId>& symbols) const;
  void ApplyLong(std::vector<TokenId>& symbols) const;

  std::vector<Entry> slots_;
  uint64_t mask_ = 0;
};

}  // namespace floe::tokenizer
