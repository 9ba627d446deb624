// A checkpoint's tensors in the order in which the CPU engine reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "inference/engine/aligned_buffer.h"
#include "inference/engine/packed_matrix.h"
#include "model/checkpoint.h"

namespace floe::inference {

struct Norm {
  std::vector<float> gain;
  std::vector<float> shift;  // of a LayerNorm; empty in an RMSNorm, or where there is no norm
};

struct Linear {
  PackedMatrix weights;
  std::vector<float> bias;  // padded to whole panels; empty where the family has none

  const float* BiasOrNull() const { return bias.empty() ? nullptr : bias.data(); }
};

struct LayerWeights {
  Norm attention_norm;            // [D]
  Linear qkv;                     // [(H + 2 * kv heads) * head_dim, D]: q, k, v stacked
  std::vector<float> query_norm;  // [head_dim]; empty without QK-norm
  std::vector<float> key_norm;
  Linear attention_out;  // [D, H * head_dim]
  Norm ffn_norm;         // [D]
  Linear up;             // [2 * F, D]: gate, up stacked; [F, D] where the FFN is plain
  Linear down;           // [D, F]
};

struct Weights {
  PackedMatrix embedding;        // [V, D]; also the head where the two are tied
  std::vector<float> positions;  // [context, D]; empty with RoPE
  PackedMatrix head;             // [V, D]; empty where tied
  Norm final_norm;
  std::vector<LayerWeights> layers;

  const PackedMatrix& Head() const { return head.out() == 0 ? embedding : head; }
  int64_t bytes() const;
};

// Every family, with a gated or a plain FFN. Floats narrower than 32 bits are widened; matrices in
// 8 bits stay so. Packs on `num_threads` threads. INVALID_ARGUMENT names a tensor that is not there
// or has another shape, DATA_LOSS one that holds a NaN or an infinity, RESOURCE_EXHAUSTED one that
// memory did not suffice for.
absl::StatusOr<Weights> LoadWeights(const model::Checkpoint& checkpoint, int num_threads);

}  // namespace floe::inference
