// Small checkpoints of every family with random weights and a tokenizer of their own, for other
// programs to load.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "model/blueprint.h"
#include "model/safetensors.h"

namespace floe::bench {

struct SmallModel {
  std::string name;  // "qwen3-bf16"
  model::Blueprint blueprint;
  model::DType dtype = model::DType::kF32;
};

// qwen3, llama, qwen2 and gpt2, each in F32, F16 and BF16.
std::vector<SmallModel> SmallModels();

// Writes the checkpoint to `folder`, which must not exist. Weights are the same at every call, and
// wide enough that a tensor in the wrong place or order changes every answer: norms and biases are
// random too, and attention looks at few places.
absl::Status WriteSmallModel(const SmallModel& model, const std::filesystem::path& folder);

// What the models are asked: words, digits, accents, an emoji and runs of white space.
std::string_view Prompt();

}  // namespace floe::bench
