// Keys and values of the CPU engine in blocks of 16 tokens, from a pool whose size is fixed at the
// start.
//
// A block holds 16 positions for all layers and key/value heads: it is what is allocated, counted,
// shared and freed (kv_blocks.h). Inside: [layer][kv head][keys [head_dim][16] | values
// [16][RoundUp16(head_dim)]], of numbers in 32 or 16 bits.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"

#include "inference/engine/aligned_buffer.h"
#include "inference/engine/attention.h"
#include "inference/engine/kv_blocks.h"
#include "model/blueprint.h"

namespace floe::inference {

// Bytes of one block for this blueprint.
int64_t KvBlockBytes(const model::Blueprint& blueprint, KvType type = KvType::kF32);

// Used by one thread at a time, except View, and what is written where different views point.
class KvCache : public KvBlocks {
 public:
  // RESOURCE_EXHAUSTED when the memory is not to be had.
  static absl::StatusOr<KvCache> Create(const model::Blueprint& blueprint, int64_t num_blocks,
                                        KvType type = KvType::kF32);

  KvHeadView View(const int32_t* blocks, int64_t layer, int64_t kv_head);

 private:
  explicit KvCache(KvBlocks blocks) : KvBlocks(std::move(blocks)) {}

  KvType type_ = KvType::kF32;
  int64_t head_dim_ = 0;
  int64_t num_kv_heads_ = 0;
  int64_t head_stride_ = 0;
  int64_t block_stride_ = 0;
  AlignedBuffer<uint8_t> pool_;
};

}  // namespace floe::inference
