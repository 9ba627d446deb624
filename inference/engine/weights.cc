#include "inference/engine/weights.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::inference {
namespace {

// Reads tensors by name; checks shapes against what the engine is about to index.
class Reader {
 public:
  explicit Reader(const model::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  absl::StatusOr<std::vector<float>> Floats(const std::string& name,
                                            const std::vector<int64_t>& shape) const {
    FLOE_ASSIGN_OR_RETURN(const model::TensorView view, checkpoint_.Tensor(name));
    if (view.shape != shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", name, " in ", checkpoint_.folder().string(),
          " does not have the shape that the blueprint gives it; write the checkpoint again"));
    }
    std::vector<float> values = view.ToFloats();
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        return absl::DataLossError(
            absl::StrCat("tensor ", name, " in ", checkpoint_.folder().string(),
                         " holds a NaN or infinity at element ", i,
                         "; the training run diverged: use an earlier checkpoint"));
      }
    }
    return values;
  }

  absl::StatusOr<PackedMatrix> Matrix(const std::vector<std::pair<std::string, int64_t>>& sources,
                                      int64_t in) const {
    std::vector<std::vector<float>> floats;
    std::vector<PackedMatrix::Rows> rows;
    for (const auto& [name, out] : sources) {
      FLOE_ASSIGN_OR_RETURN(std::vector<float> values, Floats(name, {out, in}));
      floats.push_back(std::move(values));
      rows.push_back({floats.back().data(), out});
    }
    PackedMatrix packed(rows, in);
    if (packed.bytes() == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory to pack tensor ", sources[0].first,
                       "; use a machine with more, or unload a model"));
    }
    return packed;
  }

 private:
  const model::Checkpoint& checkpoint_;
};

absl::StatusOr<LayerWeights> LoadLayer(const Reader& reader, const model::Blueprint& b,
                                       int64_t layer) {
  const std::string at = absl::StrCat("model.layers.", layer, ".");
  const int64_t q = b.num_heads * b.head_dim;
  const int64_t kv = b.num_kv_heads * b.head_dim;
  LayerWeights w;
  FLOE_ASSIGN_OR_RETURN(w.attention_norm,
                        reader.Floats(at + "input_layernorm.weight", {b.hidden_size}));
  FLOE_ASSIGN_OR_RETURN(w.qkv, reader.Matrix({{at + "self_attn.q_proj.weight", q},
                                              {at + "self_attn.k_proj.weight", kv},
                                              {at + "self_attn.v_proj.weight", kv}},
                                             b.hidden_size));
  if (b.family == model::Family::kQwen2) {
    for (const auto& [name, width] : {std::pair{"q", q}, std::pair{"k", kv}, std::pair{"v", kv}}) {
      FLOE_ASSIGN_OR_RETURN(
          std::vector<float> bias,
          reader.Floats(absl::StrCat(at, "self_attn.", name, "_proj.bias"), {width}));
      w.qkv_bias.insert(w.qkv_bias.end(), bias.begin(), bias.end());
    }
    w.qkv_bias.resize(static_cast<size_t>(RoundUp16(q + 2 * kv)));
  }
  if (b.family == model::Family::kQwen3) {
    FLOE_ASSIGN_OR_RETURN(w.query_norm,
                          reader.Floats(at + "self_attn.q_norm.weight", {b.head_dim}));
    FLOE_ASSIGN_OR_RETURN(w.key_norm, reader.Floats(at + "self_attn.k_norm.weight", {b.head_dim}));
  }
  FLOE_ASSIGN_OR_RETURN(w.attention_out,
                        reader.Matrix({{at + "self_attn.o_proj.weight", b.hidden_size}}, q));
  FLOE_ASSIGN_OR_RETURN(w.ffn_norm,
                        reader.Floats(at + "post_attention_layernorm.weight", {b.hidden_size}));
  FLOE_ASSIGN_OR_RETURN(w.gate_up, reader.Matrix({{at + "mlp.gate_proj.weight", b.ffn_hidden},
                                                  {at + "mlp.up_proj.weight", b.ffn_hidden}},
                                                 b.hidden_size));
  FLOE_ASSIGN_OR_RETURN(
      w.down, reader.Matrix({{at + "mlp.down_proj.weight", b.hidden_size}}, b.ffn_hidden));
  return w;
}

}  // namespace

int64_t Weights::bytes() const {
  int64_t sum = embedding.bytes() + head.bytes();
  for (const LayerWeights& layer : layers) {
    sum += layer.qkv.bytes() + layer.attention_out.bytes() + layer.gate_up.bytes() +
           layer.down.bytes();
  }
  return sum;
}

absl::StatusOr<Weights> LoadWeights(const model::Checkpoint& checkpoint) {
  const model::Blueprint& b = checkpoint.blueprint();
  FLOE_RETURN_IF_ERROR(b.Validate());
  if (b.family == model::Family::kGpt2 || b.ffn != model::FfnKind::kGated) {
    return absl::UnimplementedError(
        absl::StrCat("the CPU engine runs the families qwen3, llama and qwen2 with a gated FFN; ",
                     checkpoint.folder().string(), " is ", AbslView(model::FamilyName(b.family)),
                     b.ffn == model::FfnKind::kGated ? " (gated)" : " (plain)"));
  }
  const Reader reader(checkpoint);
  Weights w;
  FLOE_ASSIGN_OR_RETURN(
      w.embedding, reader.Matrix({{"model.embed_tokens.weight", b.vocab_size}}, b.hidden_size));
  for (int64_t layer = 0; layer < b.num_layers; ++layer) {
    FLOE_ASSIGN_OR_RETURN(LayerWeights weights, LoadLayer(reader, b, layer));
    w.layers.push_back(std::move(weights));
  }
  FLOE_ASSIGN_OR_RETURN(w.final_norm, reader.Floats("model.norm.weight", {b.hidden_size}));
  if (!b.tie_embeddings) {
    FLOE_ASSIGN_OR_RETURN(w.head, reader.Matrix({{"lm_head.weight", b.vocab_size}}, b.hidden_size));
  }
  return w;
}

}  // namespace floe::inference
