#include "trainer/spec/presets.h"

#include <array>

namespace floe::trainer {
namespace {

model::Blueprint Shape(int64_t layers, int64_t heads, int64_t width, int64_t ffn_hidden,
                       int64_t context) {
  model::Blueprint dials;
  dials.num_layers = layers;
  dials.num_heads = heads;
  dials.num_kv_heads = 0;
  dials.head_dim = 0;
  dials.hidden_size = width;
  dials.ffn_hidden = ffn_hidden;
  dials.context = context;
  return dials;
}

}  // namespace

// A gated FFN has three matrices: 8/3 of the width is the work of a plain one of four widths.
std::span<const Preset> Presets() {
  static const std::array<Preset, 4> kPresets = {{
      {"tiny", "a try of the whole pipeline", Shape(4, 4, 128, 344, 64), 12},
      {"small", "a narrow language on a few cores", Shape(4, 4, 256, 688, 256), 8},
      {"medium", "about ten million weights in the layers", Shape(6, 6, 384, 1024, 256), 16},
      {"base", "the shape of the smallest GPT-2", Shape(12, 12, 768, 2048, 1024), 8},
  }};
  return kPresets;
}

const Preset* FindPreset(std::string_view name) {
  for (const Preset& preset : Presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

}  // namespace floe::trainer
