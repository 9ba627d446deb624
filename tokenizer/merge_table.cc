#include "tokenizer/merge_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <queue>

namespace floe::tokenizer {
namespace {

// Up to this length a scan for the smallest rank beats a heap.
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
  struct Node {
    size_t previous;
    size_t next;
    uint32_t rank;  // of this symbol with the next
  };
  struct Candidate {
    uint32_t rank;
    size_t position;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  const size_t size = symbols.size();
  const size_t none = size;
  std::vector<Node> nodes(size);
  std::vector<Candidate> initial;
  for (size_t i = 0; i < size; ++i) {
    const uint32_t rank = i + 1 < size ? Find(symbols[i], symbols[i + 1]).rank : kNoMerge;
    nodes[i] = Node{i == 0 ? none : i - 1, i + 1 < size ? i + 1 : none, rank};
    if (rank != kNoMerge) initial.push_back({rank, i});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap(std::greater<>{},
                                                                              std::move(initial));
  const auto refresh = [&](size_t i) {
    Node& node = nodes[i];
    node.rank = node.next == none ? kNoMerge : Find(symbols[i], symbols[node.next]).rank;
    if (node.rank != kNoMerge) heap.push({node.rank, i});
  };
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    Node& node = nodes[top.position];
    if (node.rank != top.rank) continue;  // its pair has changed since
    const size_t eaten = node.next;
    symbols[top.position] = Find(symbols[top.position], symbols[eaten]).result;
    symbols[eaten] = -1;
    nodes[eaten].rank = kNoMerge;
    node.next = nodes[eaten].next;
    if (node.next != none) nodes[node.next].previous = top.position;
    refresh(top.position);
    if (node.previous != none) refresh(node.previous);
  }
  std::erase(symbols, -1);
}

}  // namespace floe::tokenizer
