// A checkpoint's weights as tensors on a device.
//
// Matrices are [out, in] in the engine's type, stacked as weight_names.h stacks them; GPT-2's are
// transposed views of what is stored. Norms are in 32 bits. A tensor that the family does not have
// is undefined.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"

#include "model/checkpoint.h"

namespace floe::inference {

struct NormTensors {
  at::Tensor gain;   // [D]
  at::Tensor shift;  // of a LayerNorm
};

struct LinearTensors {
  at::Tensor weight;
  at::Tensor bias;
};

struct LayerTensors {
  NormTensors attention_norm;
  LinearTensors qkv;
  at::Tensor head_gain;  // [H + kv heads, head_dim]: QK-norm of each head
  LinearTensors attention_out;
  NormTensors ffn_norm;
  LinearTensors up;
  LinearTensors down;
};

struct ModelTensors {
  at::Tensor embedding;  // [V, D]
  at::Tensor positions;  // [context, D], in 32 bits; undefined with RoPE
  at::Tensor cosines;    // [context, head_dim / 2]; undefined without RoPE
  at::Tensor sines;
  NormTensors final_norm;
  at::Tensor head;  // [V, D]: the embedding where tied
  std::vector<LayerTensors> layers;
};

// Errors: see CreateAtenEngine; c10's leave as exceptions.
absl::StatusOr<ModelTensors> LoadTensors(const model::Checkpoint& checkpoint, at::Device device,
                                         at::ScalarType type);

}  // namespace floe::inference
