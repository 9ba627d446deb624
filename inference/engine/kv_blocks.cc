#include "inference/engine/kv_blocks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace floe::inference {

absl::StatusOr<KvBlocks> KvBlocks::Create(int64_t num_blocks) {
  if (num_blocks < 1 || num_blocks > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("the KV cache needs 1 to 2^31-1 blocks, not ",
                                                   num_blocks, "; raise its memory budget"));
  }
  return KvBlocks(num_blocks);
}

KvBlocks::KvBlocks(int64_t num_blocks)
    : blocks_(static_cast<size_t>(num_blocks)), index_(num_blocks), total_(num_blocks) {
  // Taken from the back: the lowest number first.
  for (int64_t b = num_blocks - 1; b >= 0; --b) free_.push_back(static_cast<int32_t>(b));
}

SequenceId KvBlocks::Open(std::string_view salt) {
  sequences_.try_emplace(next_id_).first->second.salt = salt;
  return next_id_++;
}

// From the last block to the first: of one prefix, what stands behind goes before what it stands
// behind.
void KvBlocks::Close(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  const std::vector<int32_t>& blocks = found->second.blocks;
  std::for_each(blocks.rbegin(), blocks.rend(), [this](int32_t block) { Release(block); });
  sequences_.erase(found);
}

int32_t KvBlocks::Take() {
  int32_t block = 0;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else {
    block = unheld_.front();
    unheld_.pop_front();
    index_.Erase(block);
  }
  blocks_[block].holders = 1;
  return block;
}

void KvBlocks::Hold(int32_t block) {
  if (blocks_[block].holders++ == 0) unheld_.erase(blocks_[block].unheld);
}

void KvBlocks::Release(int32_t block) {
  if (--blocks_[block].holders > 0) return;
  if (index_.Contains(block)) {
    blocks_[block].unheld = unheld_.insert(unheld_.end(), block);
  } else {
    free_.push_back(block);
  }
}

// Of the block behind those that are shared.
PrefixKey KvBlocks::KeyOf(const Sequence& sequence, std::span<const int32_t> tokens) const {
  return {sequence.node, sequence.shared == 0 ? std::string_view(sequence.salt) : "",
          tokens.subspan(static_cast<size_t>(sequence.shared * kKvBlockTokens), kKvBlockTokens)};
}

int64_t KvBlocks::Adopt(SequenceId sequence, std::span<const int32_t> tokens) {
  Sequence& s = sequences_.at(sequence);
  if (s.salt.empty() || s.length > 0 || !s.blocks.empty()) return s.length;
  while ((s.shared + 1) * kKvBlockTokens <= static_cast<int64_t>(tokens.size())) {
    const auto node = index_.Find(KeyOf(s, tokens));
    if (!node) break;
    Hold(node->block);
    s.blocks.push_back(node->block);
    s.node = node->id;
    ++s.shared;
  }
  s.length = s.shared * kKvBlockTokens;
  return s.length;
}

void KvBlocks::Share(SequenceId sequence, std::span<const int32_t> tokens) {
  Sequence& s = sequences_.at(sequence);
  if (s.salt.empty()) return;
  const int64_t whole = std::min(s.length, static_cast<int64_t>(tokens.size())) / kKvBlockTokens;
  while (s.shared < whole) {
    const PrefixKey key = KeyOf(s, tokens);
    int32_t& block = s.blocks[s.shared];
    auto node = index_.Find(key);
    if (!node) {
      node = index_.Insert(key, block);
    } else if (node->block != block) {
      // Another sequence computed the same: one copy will do.
      Hold(node->block);
      Release(block);
      block = node->block;
    }
    s.node = node->id;
    ++s.shared;
  }
}

void KvBlocks::Truncate(SequenceId sequence, int64_t length) {
  Sequence& s = sequences_.at(sequence);
  s.length = std::clamp(length, s.shared * kKvBlockTokens, s.length);
  const int64_t kept = (s.length + kKvBlockTokens - 1) / kKvBlockTokens;
  while (static_cast<int64_t>(s.blocks.size()) > kept) {
    Release(s.blocks.back());
    s.blocks.pop_back();
  }
}

KvHolding KvBlocks::Holding(SequenceId sequence) const {
  const std::vector<int32_t>& blocks = sequences_.at(sequence).blocks;
  KvHolding holding{static_cast<int64_t>(blocks.size()), 0};
  for (const int32_t block : blocks) holding.shared_blocks += blocks_[block].holders > 1 ? 1 : 0;
  return holding;
}

int64_t KvBlocks::BlocksMissing(SequenceId sequence, int64_t tokens) const {
  const Sequence& s = sequences_.at(sequence);
  const int64_t needed = (s.length + tokens + kKvBlockTokens - 1) / kKvBlockTokens;
  return std::max<int64_t>(0, needed - static_cast<int64_t>(s.blocks.size()));
}

absl::Status KvBlocks::Reserve(SequenceId sequence, int64_t tokens) {
  const int64_t missing = BlocksMissing(sequence, tokens);
  if (missing > usage().free_blocks) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the KV cache has ", usage().free_blocks, " of ", total_,
        " blocks free, the sequence needs ", missing, " more; close another sequence"));
  }
  Sequence& s = sequences_.at(sequence);
  for (int64_t i = 0; i < missing; ++i) s.blocks.push_back(Take());
  return absl::OkStatus();
}

KvUsage KvBlocks::usage() const {
  const auto cached = static_cast<int64_t>(unheld_.size());
  return {total_, static_cast<int64_t>(free_.size()) + cached, kKvBlockTokens, cached};
}

}  // namespace floe::inference
