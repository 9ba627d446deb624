// The order in which byte-pair merging takes the pairs of a long piece: by rank, and within a rank
// from left to right.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace floe::tokenizer {

// Positions wait in a list of their rank; only ranks stand in a heap, and of those there are no
// more than a vocabulary has merges. So a push costs the same however long the piece is. Not
// thread-safe.
class RankQueue {
 public:
  bool empty() const { return ranks_.empty(); }

  void Push(uint32_t rank, uint32_t position) {
    waiting_.push_back({position, kEnd});
    const auto index = static_cast<uint32_t>(waiting_.size() - 1);
    List& list = lists_[rank];
    if (list.first == kEnd) {
      list.first = index;
      ranks_.push(rank);
    } else {
      waiting_[list.last].next = index;
    }
    list.last = index;
  }

  // The smallest rank, with all positions pushed to it since it was last popped, in ascending order
  // (one that was pushed twice stands there twice). The queue must not be empty.
  uint32_t Pop(std::vector<uint32_t>& positions) {
    const uint32_t rank = ranks_.top();
    ranks_.pop();
    positions.clear();
    List& list = lists_[rank];
    for (uint32_t i = list.first; i != kEnd; i = waiting_[i].next) {
      positions.push_back(waiting_[i].position);
    }
    list = List{};
    // Mostly they are: the lists before it were gone through from left to right.
    if (!std::is_sorted(positions.begin(), positions.end())) {
      std::sort(positions.begin(), positions.end());
    }
    return rank;
  }

 private:
  static constexpr uint32_t kEnd = 0xFFFFFFFF;
  struct Waiting {
    uint32_t position;
    uint32_t next;  // in waiting_
  };
  struct List {
    uint32_t first = kEnd;
    uint32_t last = kEnd;
  };

  std::vector<Waiting> waiting_;
  absl::flat_hash_map<uint32_t, List> lists_;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ranks_;  // of filled lists
};

}  // namespace floe::tokenizer
