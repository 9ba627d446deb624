// The parts of a model, and the words for what a plan chooses between: the same in tables and JSON.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/accounting.h"
#include "model/training_memory.h"

namespace floe::cli {

struct Component {
  const char* name;
  const char* note;
  int64_t count;
};

inline std::vector<Component> ComponentsOf(const model::Blueprint& b,
                                           const model::ParameterCounts& counts) {
  const bool gpt2 = b.family == model::Family::kGpt2;
  return {{"embeddings", gpt2 ? "tokens and positions" : "tokens", counts.embeddings},
          {"attention", "q, k, v, output", counts.attention},
          {"ffn", b.ffn == model::FfnKind::kGated ? "gate, up, down" : "up, down", counts.ffn},
          {"norms", gpt2 ? "LayerNorm" : "RMSNorm", counts.norms},
          {"head", b.tie_embeddings ? "tied: the transposed embedding" : "logits", counts.head},
          {"biases", counts.biases == 0 ? "none" : "of the linear layers", counts.biases}};
}

inline const char* FfnName(model::FfnKind kind) {
  return kind == model::FfnKind::kGated ? "gated" : "plain";
}
inline const char* PrecisionName(model::TrainingPrecision precision) {
  return precision == model::TrainingPrecision::kF32 ? "f32" : "bf16";
}
inline const char* OptimizerName(model::OptimizerKind kind) {
  return kind == model::OptimizerKind::kAdamW ? "adamw" : "muon";
}

}  // namespace floe::cli
