// A checkpoint's tensors in the order in which the CPU engine reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "inference/engine/aligned_floats.h"
#include "inference/engine/packed_matrix.h"
#include "model/checkpoint.h"

namespace floe::inference {

struct LayerWeights {
  std::vector<float> attention_norm;  // [D]
  PackedMatrix qkv;                   // [(H + 2 * kv heads) * head_dim, D]: q, k, v stacked
  std::vector<float> qkv_bias;        // padded to whole panels; empty where the family has none
  std::vector<float> query_norm;      // [head_dim]; empty without QK-norm
  std::vector<float> key_norm;
  PackedMatrix attention_out;  // [D, H * head_dim]
  std::vector<float> ffn_norm;
  PackedMatrix gate_up;  // [2 * F, D]: gate, up stacked
  PackedMatrix down;     // [D, F]
};

struct Weights {
  PackedMatrix embedding;  // [V, D]; also the head where the two are tied
  PackedMatrix head;       // [V, D]; empty where tied
  std::vector<float> final_norm;
  std::vector<LayerWeights> layers;

  const PackedMatrix& Head() const { return head.out() == 0 ? embedding : head; }
  int64_t bytes() const;
};

// Families qwen3, llama and qwen2 with a gated FFN; others are UNIMPLEMENTED. Stored types narrower
// than 32 bits are widened. DATA_LOSS names a tensor that holds a NaN or an infinity.
absl::StatusOr<Weights> LoadWeights(const model::Checkpoint& checkpoint);

}  // namespace floe::inference
