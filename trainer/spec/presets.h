// Named shapes of models to begin with: `preset: small` in a pre-training job file stands for a
// blueprint and a batch; what the file says itself goes before it. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/blueprint.h"

namespace floe::trainer {

struct Preset {
  std::string_view name;
  std::string_view purpose;
  // Key-value heads and head_dim are left 0, so that they follow the heads and the width of a file
  // that changes those; so is the vocabulary, which is the tokenizer's.
  model::Blueprint blueprint;
  int64_t batch_size = 0;
};

// From small to large.
std::span<const Preset> Presets();

// Null when there is none of that name.
const Preset* FindPreset(std::string_view name);

}  // namespace floe::trainer
