// Which tensors of a checkpoint make up which part of the transformer, in all four families: what
// loading is for any engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/blueprint.h"

namespace floe::inference {

struct NormNames {
  std::string gain;
  std::string shift;  // empty: an RMSNorm
};

// Matrices [out, in] on top of one another.
struct LinearNames {
  // `.weight` and `.bias` follow the stem.
  struct Part {
    std::string stem;
    int64_t out = 0;
  };
  std::vector<Part> parts;
  int64_t in = 0;
  bool transposed = false;  // stored [in, out], as what GPT-2 calls a Conv1D
  bool biased = false;
};

struct LayerNames {
  NormNames attention_norm;
  LinearNames qkv;         // q, k, v
  std::string query_norm;  // empty without QK-norm
  std::string key_norm;
  LinearNames attention_out;
  NormNames ffn_norm;
  LinearNames up;  // gate, up; up alone where the FFN is plain
  LinearNames down;
};

struct WeightNames {
  LinearNames embedding;  // also the head where the two are tied
  std::string positions;  // [context, D]; empty with RoPE
  NormNames final_norm;
  LinearNames head;  // no parts where tied
  std::vector<LayerNames> layers;
};

// Requires blueprint.Validate().ok().
WeightNames NamesOfWeights(const model::Blueprint& blueprint);

}  // namespace floe::inference
