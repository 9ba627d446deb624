#include "model/presets.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe::model {
namespace {

struct Named {
  std::string_view name;
  Blueprint blueprint;
};

constexpr size_t kCount = 9;

// Of Llama 3.1 and 3.2, whose models were first trained on 8,192 tokens.
constexpr RopeScaling Llama3Scaling(double factor) {
  return {.kind = RopeScalingKind::kLlama3,
          .factor = factor,
          .low_freq_factor = 1,
          .high_freq_factor = 4,
          .original_max_position_embeddings = 8192};
}

const std::array<Named, kCount>& Presets() {
  static const auto& presets = *new std::array<Named, kCount>{{
      // No published model: the dials of textbooks, 4 D wide and plain as in the first transformer.
      {"classic",
       {.family = Family::kLlama,
        .vocab_size = 32000,
        .hidden_size = 4096,
        .num_layers = 32,
        .num_heads = 32,
        .num_kv_heads = 32,
        .head_dim = 128,
        .ffn_hidden = 16384,
        .ffn = FfnKind::kPlain,
        .context = 2048,
        .rope_theta = 1e4,
        .norm_eps = 1e-5,
        .tie_embeddings = false}},
      {"gpt2",
       {.family = Family::kGpt2,
        .vocab_size = 50257,
        .hidden_size = 768,
        .num_layers = 12,
        .num_heads = 12,
        .num_kv_heads = 12,
        .head_dim = 64,
        .ffn_hidden = 3072,
        .ffn = FfnKind::kPlain,
        .context = 1024,
        .norm_eps = 1e-5,
        .tie_embeddings = true}},
      {"llama-2-7b",
       {.family = Family::kLlama,
        .vocab_size = 32000,
        .hidden_size = 4096,
        .num_layers = 32,
        .num_heads = 32,
        .num_kv_heads = 32,
        .head_dim = 128,
        .ffn_hidden = 11008,
        .context = 4096,
        .rope_theta = 1e4,
        .norm_eps = 1e-5,
        .tie_embeddings = false}},
      {"llama-3-8b",
       {.family = Family::kLlama,
        .vocab_size = 128256,
        .hidden_size = 4096,
        .num_layers = 32,
        .num_heads = 32,
        .num_kv_heads = 8,
        .head_dim = 128,
        .ffn_hidden = 14336,
        .context = 8192,
        .rope_theta = 5e5,
        .norm_eps = 1e-5,
        .tie_embeddings = false}},
      {"llama-3.1-8b",
       {.family = Family::kLlama,
        .vocab_size = 128256,
        .hidden_size = 4096,
        .num_layers = 32,
        .num_heads = 32,
        .num_kv_heads = 8,
        .head_dim = 128,
        .ffn_hidden = 14336,
        .context = 131072,
        .rope_theta = 5e5,
        .rope_scaling = Llama3Scaling(8),
        .norm_eps = 1e-5,
        .tie_embeddings = false}},
      {"llama-3.2-1b",
       {.family = Family::kLlama,
        .vocab_size = 128256,
        .hidden_size = 2048,
        .num_layers = 16,
        .num_heads = 32,
        .num_kv_heads = 8,
        .head_dim = 64,
        .ffn_hidden = 8192,
        .context = 131072,
        .rope_theta = 5e5,
        .rope_scaling = Llama3Scaling(32),
        .norm_eps = 1e-5,
        .tie_embeddings = true}},
      {"qwen2.5-0.5b",
       {.family = Family::kQwen2,
        .vocab_size = 151936,
        .hidden_size = 896,
        .num_layers = 24,
        .num_heads = 14,
        .num_kv_heads = 2,
        .head_dim = 64,
        .ffn_hidden = 4864,
        .context = 32768,
        .rope_theta = 1e6,
        .norm_eps = 1e-6,
        .tie_embeddings = true}},
      {"qwen3-0.6b",
       {.family = Family::kQwen3,
        .vocab_size = 151936,
        .hidden_size = 1024,
        .num_layers = 28,
        .num_heads = 16,
        .num_kv_heads = 8,
        .head_dim = 128,
        .ffn_hidden = 3072,
        .context = 40960,
        .rope_theta = 1e6,
        .norm_eps = 1e-6,
        .tie_embeddings = true}},
      {"smollm2-135m",
       {.family = Family::kLlama,
        .vocab_size = 49152,
        .hidden_size = 576,
        .num_layers = 30,
        .num_heads = 9,
        .num_kv_heads = 3,
        .head_dim = 64,
        .ffn_hidden = 1536,
        .context = 8192,
        .rope_theta = 1e5,
        .norm_eps = 1e-5,
        .tie_embeddings = true}},
  }};
  return presets;
}

}  // namespace

std::vector<std::string_view> PresetNames() {
  std::vector<std::string_view> names;
  for (const Named& preset : Presets()) names.push_back(preset.name);
  return names;
}

absl::StatusOr<Blueprint> Preset(std::string_view name) {
  for (const Named& preset : Presets()) {
    if (preset.name == name) return preset.blueprint;
  }
  return absl::NotFoundError(
      absl::StrCat("there is no preset \"", AbslView(name.substr(0, 80)), "\"; there are ",
                   absl::StrJoin(PresetNames(), ", ", [](std::string* out, std::string_view text) {
                     absl::StrAppend(out, AbslView(text));
                   })));
}

}  // namespace floe::model
