// The dials that fix a model's shape and parameter count before any token is seen.
//
// A Blueprint is a value. Everything else in the house asks it: the trainer builds the transformer
// from it, the engine lays out weights and the KV cache by it, accounting.h counts by it,
// config.json is written from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "model/rope.h"

namespace floe::model {

// The layouts of Hugging Face's model_type of the same name. qwen3 is native (RMSNorm, RoPE,
// QK-norm, GQA, no biases); llama has no QK-norm; qwen2 has q/k/v biases and no QK-norm; gpt2 has
// learned positions, LayerNorm, biases everywhere and a fused c_attn.
enum class Family { kQwen3, kLlama, kQwen2, kGpt2 };

// kGated: SwiGLU, down(silu(gate(x)) * up(x)). kPlain: down(gelu_tanh(up(x))).
enum class FfnKind { kGated, kPlain };

struct Blueprint {
  Family family = Family::kQwen3;
  int64_t vocab_size = 0;    // V: rows of the embedding
  int64_t hidden_size = 0;   // D: width of the residual stream
  int64_t num_layers = 0;    // L
  int64_t num_heads = 0;     // H: query heads
  int64_t num_kv_heads = 0;  // key/value heads; divides num_heads
  int64_t head_dim = 0;      // width of one head; even (RoPE turns pairs)
  int64_t ffn_hidden = 0;    // F: intermediate size
  FfnKind ffn = FfnKind::kGated;
  int64_t context = 0;  // most tokens a sequence may hold
  double rope_theta = 1e6;
  RopeScaling rope_scaling = {};  // of RoPE's frequencies, for a context grown after training
  double norm_eps = 1e-6;
  bool tie_embeddings = true;  // the head is the transposed embedding

  bool operator==(const Blueprint&) const = default;

  // OK, or INVALID_ARGUMENT whose message names every dial that is wrong, its value, and what it
  // must be.
  absl::Status Validate() const;
};

std::string_view FamilyName(Family family);  // "qwen3", …
absl::StatusOr<Family> ParseFamily(std::string_view name);

// One tensor of a checkpoint in the family's own naming, shape row-major [out, in].
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
};

// Every tensor that a checkpoint of this blueprint holds, in a fixed order (embedding, layers,
// final norm, head unless tied). Requires Validate().ok().
std::vector<TensorSpec> TensorsOf(const Blueprint& blueprint);

}  // namespace floe::model
