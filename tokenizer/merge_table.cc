#include "tokenizer/merge_table.h"

#include <algorithm>
#include <array>
#include <bit>

#include "tokenizer/rank_queue.h"

namespace floe::tokenizer {
namespace {

// Up to this length a scan for the smallest rank beats a queue.
constexpr size_t kShort = 48;

}  // namespace

MergeTable::MergeTable(std::span<const Merge> merges, bool equal_merges) {
  slots_.resize(std::bit_ceil(merges.size() * 2 + 2));
  mask_ = slots_.size() - 1;
  size_t rank = 0;
  for (size_t i = 0; i < merges.size(); ++i) {
    const Merge& merge = merges[i];
    if (!equal_merges || i == 0 || merge.result != merges[i - 1].result) rank = i;
    const uint64_t key = Key(merge.left, merge.right);
    size_t slot = Hash(key) & mask_;
    while (slots_[slot].rank != kNoMerge && slots_[slot].key != key) slot = (slot + 1) & mask_;
    slots_[slot] = Entry{key, static_cast<uint32_t>(rank), merge.result};
  }
}

void MergeTable::Apply(std::vector<TokenId>& symbols) const {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShort) {
    ApplyShort(symbols);
  } else {
    ApplyLong(symbols);
  }
}

void MergeTable::ApplyShort(std::vector<TokenId>& symbols) const {
  std::array<Entry, kShort> pairs;  // pairs[i]: symbols[i] with symbols[i + 1]
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = Find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoMerge) break;
    symbols[best] = pairs[best].result;
    std::copy(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    std::copy(pairs.begin() + best + 1, pairs.begin() + count - 1, pairs.begin() + best);
    --count;
    if (best + 1 < count) pairs[best] = Find(symbols[best], symbols[best + 1]);
    if (best > 0) pairs[best - 1] = Find(symbols[best - 1], symbols[best]);
  }
  symbols.resize(count);
}

void MergeTable::ApplyLong(std::vector<TokenId>& symbols) const {
  constexpr uint32_t kNone = 0xFFFFFFFF;
  struct Node {
    uint32_t previous;
    uint32_t next;
    uint32_t rank;  // of this symbol with the next
  };
  const auto size = static_cast<uint32_t>(symbols.size());
  std::vector<Node> nodes(size);
  RankQueue queue;
  for (uint32_t i = 0; i < size; ++i) {
    const uint32_t rank = i + 1 < size ? Find(symbols[i], symbols[i + 1]).rank : kNoMerge;
    nodes[i] = Node{i == 0 ? kNone : i - 1, i + 1 < size ? i + 1 : kNone, rank};
    if (rank != kNoMerge) queue.Push(rank, i);
  }
  // Says whether the pair that now begins at `i` comes before what is left of `rank`.
  const auto refresh = [&](uint32_t i, uint32_t rank) {
    Node& node = nodes[i];
    node.rank = node.next == kNone ? kNoMerge : Find(symbols[i], symbols[node.next]).rank;
    if (node.rank != kNoMerge) queue.Push(node.rank, i);
    return node.rank <= rank;
  };
  std::vector<uint32_t> positions;
  while (!queue.empty()) {
    const uint32_t rank = queue.Pop(positions);
    for (size_t at = 0; at < positions.size(); ++at) {
      const uint32_t i = positions[at];
      Node& node = nodes[i];
      if (node.rank != rank) continue;  // its pair has changed since
      const uint32_t eaten = node.next;
      symbols[i] = Find(symbols[i], symbols[eaten]).result;
      symbols[eaten] = -1;
      nodes[eaten].rank = kNoMerge;
      node.next = nodes[eaten].next;
      if (node.next != kNone) nodes[node.next].previous = i;
      bool earlier = refresh(i, rank);
      if (node.previous != kNone && refresh(node.previous, rank)) earlier = true;
      if (!earlier) continue;
      // Only where a list has a merge in front of one that makes its parts.
      for (size_t left = at + 1; left < positions.size(); ++left) queue.Push(rank, positions[left]);
      break;
    }
  }
  std::erase(symbols, -1);
}

}  // namespace floe::tokenizer
