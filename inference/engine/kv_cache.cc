#include "inference/engine/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace floe::inference {
namespace {

int64_t HeadFloats(const model::Blueprint& blueprint) {
  return kKvBlockTokens * (blueprint.head_dim + RoundUp16(blueprint.head_dim));
}

}  // namespace

int64_t KvBlockBytes(const model::Blueprint& blueprint) {
  return blueprint.num_layers * blueprint.num_kv_heads * HeadFloats(blueprint) *
         static_cast<int64_t>(sizeof(float));
}

absl::StatusOr<KvCache> KvCache::Create(const model::Blueprint& blueprint, int64_t num_blocks) {
  if (num_blocks < 1 || num_blocks > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("the KV cache needs 1 to 2^31-1 blocks, not ",
                                                   num_blocks, "; raise its memory budget"));
  }
  KvCache cache;
  cache.head_dim_ = blueprint.head_dim;
  cache.num_kv_heads_ = blueprint.num_kv_heads;
  cache.head_stride_ = HeadFloats(blueprint);
  cache.block_stride_ = blueprint.num_layers * blueprint.num_kv_heads * cache.head_stride_;
  cache.pool_ = AlignedFloats(cache.block_stride_ * num_blocks);
  if (cache.pool_.data() == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a KV cache of ", num_blocks,
                                                     " blocks of ", KvBlockBytes(blueprint),
                                                     " bytes; lower its memory budget"));
  }
  cache.total_ = num_blocks;
  // Taken from the back: the lowest number first.
  for (int64_t b = num_blocks - 1; b >= 0; --b) cache.free_.push_back(static_cast<int32_t>(b));
  return cache;
}

SequenceId KvCache::Open() {
  sequences_.try_emplace(next_id_);
  return next_id_++;
}

void KvCache::Close(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  free_.insert(free_.end(), found->second.blocks.begin(), found->second.blocks.end());
  sequences_.erase(found);
}

int64_t KvCache::BlocksMissing(SequenceId sequence, int64_t tokens) const {
  const Sequence& s = sequences_.at(sequence);
  const int64_t needed = (s.length + tokens + kKvBlockTokens - 1) / kKvBlockTokens;
  return std::max<int64_t>(0, needed - static_cast<int64_t>(s.blocks.size()));
}

absl::Status KvCache::Reserve(SequenceId sequence, int64_t tokens) {
  const int64_t missing = BlocksMissing(sequence, tokens);
  if (missing > static_cast<int64_t>(free_.size())) {
    return absl::ResourceExhaustedError(absl::StrCat("the KV cache has ", free_.size(), " of ",
                                                     total_, " blocks free, the sequence needs ",
                                                     missing, " more; close another sequence"));
  }
  Sequence& s = sequences_.at(sequence);
  for (int64_t i = 0; i < missing; ++i) {
    s.blocks.push_back(free_.back());
    free_.pop_back();
  }
  return absl::OkStatus();
}

KvUsage KvCache::usage() const {
  return {total_, static_cast<int64_t>(free_.size()), kKvBlockTokens};
}

KvHeadView KvCache::View(const int32_t* blocks, int64_t layer, int64_t kv_head) const {
  const int64_t head = (layer * num_kv_heads_ + kv_head) * head_stride_;
  return {pool_.data(), blocks, block_stride_, head, head + kKvBlockTokens * head_dim_};
}

void KvCache::Write(const KvHeadView& view, int64_t position, const float* key,
                    const float* value) {
  float* block = pool_.data() + view.blocks[position / kKvBlockTokens] * view.block_stride;
  const int64_t slot = position % kKvBlockTokens;
  float* keys = block + view.keys + slot;
  for (int64_t i = 0; i < head_dim_; ++i) keys[i * kKvBlockTokens] = key[i];
  std::memcpy(block + view.values + slot * RoundUp16(head_dim_), value,
              static_cast<size_t>(head_dim_) * sizeof(float));
}

}  // namespace floe::inference
