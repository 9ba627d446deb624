// Keys and values of the CPU engine in blocks of 16 tokens, from a pool whose size is fixed at the
// start.
//
// A block holds 16 positions for all layers and key/value heads: it is what is allocated, counted,
// shared and freed (kv_blocks.h). Inside: [layer][kv head][keys [head_dim][16] | values
// [16][RoundUp16(head_dim)]].
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
int64_t KvBlockBytes(const model::Blueprint& blueprint);

// Used by one thread at a time, except Write and View of different sequences or positions.
class KvCache : public KvBlocks {
 public:
  // RESOURCE_EXHAUSTED when the memory is not to be had.
  static absl::StatusOr<KvCache> Create(const model::Blueprint& blueprint, int64_t num_blocks);

  KvHeadView View(const int32_t* blocks, int64_t layer, int64_t kv_head) const;
  // Stores one position's key and value of one head, head_dim floats each.
  void Write(const KvHeadView& view, int64_t position, const float* key, const float* value);

 private:
  explicit KvCache(KvBlocks blocks) : KvBlocks(std::move(blocks)) {}

  int64_t head_dim_ = 0;
  int64_t num_kv_heads_ = 0;
  int64_t head_stride_ = 0;
  int64_t block_stride_ = 0;
  AlignedFloats pool_;
};

}  // namespace floe::inference
