#include "inference/engine/kv_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference {
namespace {

int64_t HeadNumbers(const model::Blueprint& blueprint) {
  return kKvBlockTokens * (blueprint.head_dim + RoundUp16(blueprint.head_dim));
}

}  // namespace

int64_t KvBlockBytes(const model::Blueprint& blueprint, KvType type) {
  return blueprint.num_layers * blueprint.num_kv_heads * HeadNumbers(blueprint) *
         KvNumberBytes(type);
}

absl::StatusOr<KvCache> KvCache::Create(const model::Blueprint& blueprint, int64_t num_blocks,
                                        KvType type) {
  FLOE_ASSIGN_OR_RETURN(KvBlocks blocks, KvBlocks::Create(num_blocks));
  KvCache cache(std::move(blocks));
  cache.type_ = type;
  cache.head_dim_ = blueprint.head_dim;
  cache.num_kv_heads_ = blueprint.num_kv_heads;
  cache.head_stride_ = HeadNumbers(blueprint);
  cache.block_stride_ = blueprint.num_layers * blueprint.num_kv_heads * cache.head_stride_;
  cache.pool_ = AlignedBuffer<uint8_t>(KvBlockBytes(blueprint, type) * num_blocks);
  if (cache.pool_.data() == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for a KV cache of ", num_blocks,
                                                     " blocks of ", KvBlockBytes(blueprint, type),
                                                     " bytes; lower its memory budget"));
  }
  return cache;
}

KvHeadView KvCache::View(const int32_t* blocks, int64_t layer, int64_t kv_head) {
  const int64_t head = (layer * num_kv_heads_ + kv_head) * head_stride_;
  return {type_, pool_.data(), blocks, block_stride_, head, head + kKvBlockTokens * head_dim_};
}

}  // namespace floe::inference
