#include "inference/engine/kv_cache.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

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
  FLOE_ASSIGN_OR_RETURN(KvBlocks blocks, KvBlocks::Create(num_blocks));
  KvCache cache(std::move(blocks));
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
  return cache;
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
