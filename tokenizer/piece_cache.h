// Remembers the ids of recent short pieces, since most pieces of a text have been seen before.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

// Direct-mapped, fixed size (4 MiB), one cache line a slot: a new piece takes the slot of an old
// one, so memory is bounded whatever the text. Not thread-safe: one user at a time.
class PieceCache {
 public:
  static constexpr size_t kMaxBytes = 24;  // longer pieces are not kept
  static constexpr size_t kMaxIds = 9;

  // A piece as three words, zero-padded, with its length and hash.
  struct Key {
    uint64_t words[3];
    uint64_t hash;
    uint8_t length;
  };
  // Only for 1 <= piece.size() <= kMaxBytes.
  static Key KeyOf(std::string_view piece) {
    Key key{{0, 0, 0}, 0, static_cast<uint8_t>(piece.size())};
    if (piece.size() < 8) {
      key.words[0] = LoadShort(piece.data(), piece.size());
    } else {
      for (size_t at = 0, word = 0; at < piece.size(); at += 8, ++word) {
        key.words[word] = LoadTail(piece.data(), at, piece.size());
      }
    }
    key.hash = Mix(key.words[0] ^ (uint64_t{key.length} << 56)) + Mix(key.words[1]) * 3 +
               Mix(key.words[2]) * 7;
    return key;
  }

  // Empty when the piece is not there.
  std::span<const TokenId> Find(const Key& key) const {
    const Slot& slot = slots_[key.hash >> kShift];
    if (slot.length != key.length || slot.words[0] != key.words[0] ||
        slot.words[1] != key.words[1] || slot.words[2] != key.words[2]) {
      return {};
    }
    return {slot.ids, slot.count};
  }

  void Insert(const Key& key, std::span<const TokenId> ids) {
    if (ids.empty() || ids.size() > kMaxIds) return;
    Slot& slot = slots_[key.hash >> kShift];
    std::memcpy(slot.words, key.words, sizeof(slot.words));
    std::memcpy(slot.ids, ids.data(), ids.size_bytes());
    slot.length = key.length;
    slot.count = static_cast<uint8_t>(ids.size());
  }

 private:
  static constexpr int kBits = 16;
  static constexpr int kShift = 64 - kBits;
  struct alignas(64) Slot {
    uint64_t words[3] = {};
    uint8_t length = 0;  // 0: empty
    uint8_t count = 0;
    TokenId ids[kMaxIds] = {};
  };
  static_assert(sizeof(Slot) == 64);

  static uint64_t Mix(uint64_t value) {
    value *= 0x9E3779B97F4A7C15;
    value ^= value >> 29;
    return value * 0xBF58476D1CE4E5B9;
  }
  static uint64_t Load32(const char* bytes) {
    uint32_t value;
    std::memcpy(&value, bytes, 4);
    return value;
  }
  // 1 to 7 bytes, without reading past them: overlapping loads whose common bytes agree.
  static uint64_t LoadShort(const char* bytes, size_t size) {
    if (size >= 4) return Load32(bytes) | Load32(bytes + size - 4) << (8 * (size - 4));
    const auto at = [bytes](size_t i) {
      return uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    };
    return at(0) | at(size / 2) | at(size - 1);
  }
  // Up to 8 bytes from `at` of a piece of `size` >= 8 bytes.
  static uint64_t LoadTail(const char* bytes, size_t at, size_t size) {
    uint64_t value;
    if (at + 8 <= size) {
      std::memcpy(&value, bytes + at, 8);
      return value;
    }
    std::memcpy(&value, bytes + size - 8, 8);
    return value >> (8 * (at + 8 - size));
  }

  std::vector<Slot> slots_ = std::vector<Slot>(size_t{1} << kBits);
};

// Lends caches out, one a caller at a time, so that they stay warm from call to call. Thread-safe;
// holds as many as were ever in use at once.
class PieceCachePool {
 public:
  class Lease {
   public:
    explicit Lease(PieceCachePool& pool) : pool_(pool), cache_(pool.Take()) {}
    ~Lease() { pool_.Return(std::move(cache_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    PieceCache& operator*() { return *cache_; }

   private:
    PieceCachePool& pool_;
    std::unique_ptr<PieceCache> cache_;
  };

 private:
  std::unique_ptr<PieceCache> Take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto cache = std::move(idle_.back());
        idle_.pop_back();
        return cache;
      }
    }
    return std::make_unique<PieceCache>();
  }
  void Return(std::unique_ptr<PieceCache> cache) {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(cache));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<PieceCache>> idle_;  // guarded by mutex_
};

}  // namespace floe::tokenizer
