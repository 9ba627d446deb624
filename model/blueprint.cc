#include "model/blueprint.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe::model {
namespace {

// Bounds that keep every count in accounting.h inside 64 bits.
constexpr int64_t kMaxVocabSize = int64_t{1} << 24;
constexpr int64_t kMaxHiddenSize = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 1 << 10;
constexpr int64_t kMaxHeads = 1 << 10;
constexpr int64_t kMaxHeadDim = 1 << 12;
constexpr int64_t kMaxFfnHidden = int64_t{1} << 22;
constexpr int64_t kMaxContext = int64_t{1} << 24;

class Mistakes {
 public:
  void Range(std::string_view dial, int64_t value, int64_t max) {
    if (value < 1 || value > max) {
      Add(absl::StrCat(AbslView(dial), " is ", value, ": must be from 1 to ", max));
    }
  }
  void Add(std::string_view mistake) { mistakes_.emplace_back(mistake); }
  absl::Status ToStatus() const {
    if (mistakes_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("blueprint: ", absl::StrJoin(mistakes_, "; ")));
  }

 private:
  std::vector<std::string> mistakes_;
};

void CheckHeads(const Blueprint& b, Mistakes& mistakes) {
  if (b.num_heads > 0 && b.num_kv_heads > 0 && b.num_heads % b.num_kv_heads != 0) {
    mistakes.Add(
        absl::StrCat("num_kv_heads is ", b.num_kv_heads, ": must divide num_heads, ", b.num_heads));
  }
  if (b.family != Family::kGpt2) {
    if (b.head_dim % 2 != 0) {
      mistakes.Add(
          absl::StrCat("head_dim is ", b.head_dim, ": must be even, since RoPE turns pairs"));
    }
    return;
  }
  if (b.num_kv_heads != b.num_heads) {
    mistakes.Add(absl::StrCat("num_kv_heads is ", b.num_kv_heads, ": family gpt2 needs num_heads, ",
                              b.num_heads, ", since its heads share no keys"));
  }
  if (b.num_heads > 0 && b.num_heads <= kMaxHeads && b.head_dim > 0 && b.head_dim <= kMaxHeadDim &&
      b.num_heads * b.head_dim != b.hidden_size) {
    mistakes.Add(absl::StrCat("head_dim is ", b.head_dim,
                              ": family gpt2 needs num_heads * head_dim = hidden_size, but ",
                              b.num_heads, " * ", b.head_dim, " is not ", b.hidden_size));
  }
}

void CheckRope(const Blueprint& b, Mistakes& mistakes) {
  if (b.family == Family::kGpt2) {
    if (b.rope_scaling != RopeScaling{}) {
      mistakes.Add(absl::StrCat("rope_scaling is ", ShownRopeScaling(b.rope_scaling),
                                ": family gpt2 has no RoPE to scale"));
    }
    return;
  }
  if (!(std::isfinite(b.rope_theta) && b.rope_theta >= 1)) {
    mistakes.Add(
        absl::StrCat("rope_theta is ", b.rope_theta, ": must be a finite number, at least 1"));
  }
  for (const std::string& mistake : MistakesOf(b.rope_scaling, b.context)) mistakes.Add(mistake);
}

void Add(std::vector<TensorSpec>& specs, std::string_view name, std::vector<int64_t> shape) {
  specs.push_back({std::string(name), std::move(shape)});
}

// Names and shapes of one layer of the three families with RoPE.
void AddRopeLayer(const Blueprint& b, int64_t layer, std::vector<TensorSpec>& specs) {
  const std::string at = absl::StrCat("model.layers.", layer, ".");
  const int64_t q = b.num_heads * b.head_dim;
  const int64_t kv = b.num_kv_heads * b.head_dim;
  const int64_t d = b.hidden_size;
  const auto add = [&](std::string_view name, std::vector<int64_t> shape) {
    Add(specs, absl::StrCat(at, AbslView(name)), std::move(shape));
  };
  const auto add_projection = [&](std::string_view name, int64_t out) {
    add(absl::StrCat("self_attn.", AbslView(name), ".weight"), {out, d});
    if (b.family == Family::kQwen2) add(absl::StrCat("self_attn.", AbslView(name), ".bias"), {out});
  };
  add("input_layernorm.weight", {d});
  add_projection("q_proj", q);
  add_projection("k_proj", kv);
  add_projection("v_proj", kv);
  if (b.family == Family::kQwen3) {
    add("self_attn.q_norm.weight", {b.head_dim});
    add("self_attn.k_norm.weight", {b.head_dim});
  }
  add("self_attn.o_proj.weight", {d, q});
  add("post_attention_layernorm.weight", {d});
  if (b.ffn == FfnKind::kGated) add("mlp.gate_proj.weight", {b.ffn_hidden, d});
  add("mlp.up_proj.weight", {b.ffn_hidden, d});
  add("mlp.down_proj.weight", {d, b.ffn_hidden});
}

std::vector<TensorSpec> RopeTensors(const Blueprint& b) {
  std::vector<TensorSpec> specs;
  Add(specs, "model.embed_tokens.weight", {b.vocab_size, b.hidden_size});
  for (int64_t layer = 0; layer < b.num_layers; ++layer) AddRopeLayer(b, layer, specs);
  Add(specs, "model.norm.weight", {b.hidden_size});
  return specs;
}

// GPT-2's linear layers are stored as Conv1D: [in, out].
std::vector<TensorSpec> Gpt2Tensors(const Blueprint& b) {
  const int64_t d = b.hidden_size;
  std::vector<TensorSpec> specs;
  Add(specs, "transformer.wte.weight", {b.vocab_size, d});
  Add(specs, "transformer.wpe.weight", {b.context, d});
  for (int64_t layer = 0; layer < b.num_layers; ++layer) {
    const std::string at = absl::StrCat("transformer.h.", layer, ".");
    const auto add_norm = [&](std::string_view name) {
      Add(specs, absl::StrCat(at, AbslView(name), ".weight"), {d});
      Add(specs, absl::StrCat(at, AbslView(name), ".bias"), {d});
    };
    const auto add_linear = [&](std::string_view name, int64_t in, int64_t out) {
      Add(specs, absl::StrCat(at, AbslView(name), ".weight"), {in, out});
      Add(specs, absl::StrCat(at, AbslView(name), ".bias"), {out});
    };
    add_norm("ln_1");
    add_linear("attn.c_attn", d, 3 * d);
    add_linear("attn.c_proj", d, d);
    add_norm("ln_2");
    add_linear("mlp.c_fc", d, b.ffn_hidden);
    add_linear("mlp.c_proj", b.ffn_hidden, d);
  }
  Add(specs, "transformer.ln_f.weight", {d});
  Add(specs, "transformer.ln_f.bias", {d});
  return specs;
}

}  // namespace

absl::Status Blueprint::Validate() const {
  Mistakes mistakes;
  mistakes.Range("vocab_size", vocab_size, kMaxVocabSize);
  mistakes.Range("hidden_size", hidden_size, kMaxHiddenSize);
  mistakes.Range("num_layers", num_layers, kMaxLayers);
  mistakes.Range("num_heads", num_heads, kMaxHeads);
  mistakes.Range("num_kv_heads", num_kv_heads, kMaxHeads);
  mistakes.Range("head_dim", head_dim, kMaxHeadDim);
  mistakes.Range("ffn_hidden", ffn_hidden, kMaxFfnHidden);
  mistakes.Range("context", context, kMaxContext);
  CheckHeads(*this, mistakes);
  if (family == Family::kGpt2 && ffn != FfnKind::kPlain) {
    mistakes.Add("ffn is gated: family gpt2 needs plain");
  }
  CheckRope(*this, mistakes);
  if (!(norm_eps > 0 && norm_eps < 1)) {
    mistakes.Add(absl::StrCat("norm_eps is ", norm_eps, ": must be above 0 and below 1"));
  }
  return mistakes.ToStatus();
}

std::string_view FamilyName(Family family) {
  switch (family) {
    case Family::kQwen3:
      return "qwen3";
    case Family::kLlama:
      return "llama";
    case Family::kQwen2:
      return "qwen2";
    case Family::kGpt2:
      return "gpt2";
  }
  return "unknown";
}

absl::StatusOr<Family> ParseFamily(std::string_view name) {
  for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2}) {
    if (name == FamilyName(family)) return family;
  }
  return absl::InvalidArgumentError(absl::StrCat("family is \"", AbslView(name.substr(0, 80)),
                                                 "\": must be qwen3, llama, qwen2 or gpt2"));
}

std::vector<TensorSpec> TensorsOf(const Blueprint& blueprint) {
  std::vector<TensorSpec> specs =
      blueprint.family == Family::kGpt2 ? Gpt2Tensors(blueprint) : RopeTensors(blueprint);
  if (!blueprint.tie_embeddings) {
    Add(specs, "lm_head.weight", {blueprint.vocab_size, blueprint.hidden_size});
  }
  return specs;
}

}  // namespace floe::model
