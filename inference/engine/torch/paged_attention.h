// Attention over keys and values in blocks, by LibTorch's operators.
//
// A layer has one tensor of keys and one of values: [blocks, 16, kv heads, head_dim]. The rows of a
// step attend in batches of sequences that bring equally many tokens: their blocks are gathered by
// block table, padded to the longest, and what a row may not see is masked.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/blueprint.h"

namespace floe::inference {

// One sequence's part of a step: neighbouring rows at neighbouring positions.
struct SequenceRows {
  int64_t first_row = 0;
  int64_t count = 0;
  int64_t first_position = 0;
  const int32_t* blocks = nullptr;  // of the sequence, enough for its last position
};

// B sequences of Q rows each that see S positions at most, S a multiple of 16.
struct AttentionBatch {
  int64_t sequences = 0;  // B
  at::Tensor rows;        // [B * Q] of the step
  at::Tensor blocks;      // [B * S / 16]; padded with a block of any content
  at::Tensor unseen;      // [B, 1, 1, Q, S]: positions behind the row's own
  at::Tensor absent;      // [B, 1, S, 1]: positions behind the sequence's last
};

// How the rows of a step are batched: sequences of one row together, as long as they do not gather
// too much at once; those of several rows alone, in pieces.
std::vector<AttentionBatch> BatchAttention(std::span<const SequenceRows> sequences,
                                           at::Device device);

// Used by one thread at a time.
class PagedAttention {
 public:
  PagedAttention(const model::Blueprint& blueprint, int64_t num_blocks, at::Device device,
                 at::ScalarType type);

  // Stores keys and values [T, kv heads, head_dim] at `slots` [T]: block number * 16 + offset.
  void Write(int64_t layer, const at::Tensor& slots, const at::Tensor& keys,
             const at::Tensor& values);
  // queries [T, H, head_dim] -> [T, H * head_dim]. The batches cover all rows.
  at::Tensor Attend(int64_t layer, const at::Tensor& queries,
                    std::span<const AttentionBatch> batches) const;

 private:
  at::Tensor AttendBatch(int64_t layer, const at::Tensor& queries,
                         const AttentionBatch& batch) const;

  int64_t num_kv_heads_ = 0;
  double scale_ = 1;
  std::vector<at::Tensor> keys_;  // one a layer
  std::vector<at::Tensor> values_;
};

}  // namespace floe::inference
