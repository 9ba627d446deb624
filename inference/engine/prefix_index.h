// Which block of the KV cache holds which tokens, so that sequences that begin alike share blocks.
//
// A tree of whole blocks: a node is the ids of one block behind the node before it, and the first
// ones stand behind a salt. A node is found by a hash and confirmed by comparing all that it stands
// for, so two prefixes are never taken for each other, whatever they hash to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inference/engine/attention.h"

namespace floe::inference {

struct PrefixKey {
  int64_t parent = 0;            // the node before it; 0: none
  std::string_view salt;         // of a first node; what has another salt is another prefix
  std::span<const int32_t> ids;  // kKvBlockTokens of them
};

// Salted by the process, so that nobody outside can aim at one bucket.
uint64_t HashPrefix(const PrefixKey& key);

// Used by one thread at a time.
class PrefixIndex {
 public:
  struct Node {
    int64_t id = 0;  // never used twice
    int32_t block = 0;
  };
  using Hash = uint64_t (*)(const PrefixKey& key);

  explicit PrefixIndex(int64_t num_blocks, Hash hash = &HashPrefix)
      : hash_(hash), entries_(static_cast<size_t>(num_blocks)) {}

  std::optional<Node> Find(const PrefixKey& key) const;
  // `block` holds the keys and values of `key`, which is not there yet.
  Node Insert(const PrefixKey& key, int32_t block);
  // Whether `block` stands for a prefix; Erase makes it stand for none. What was behind it is not
  // found any more either.
  bool Contains(int32_t block) const { return entries_[block].id != 0; }
  void Erase(int32_t block);

 private:
  struct Entry {
    int64_t id = 0;  // 0: the block stands for no prefix
    int64_t parent = 0;
    uint64_t hash = 0;
    std::string salt;
    std::array<int32_t, kKvBlockTokens> ids = {};
  };
  bool Is(const Entry& entry, const PrefixKey& key) const;

  Hash hash_;
  std::vector<Entry> entries_;                         // by block
  std::unordered_multimap<uint64_t, int32_t> blocks_;  // by hash
  int64_t next_id_ = 1;
};

}  // namespace floe::inference
