#include "inference/engine/weights.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference {
namespace {

enum class Layout { kOutIn, kInOut };

// Rows of a matrix; `.weight` and `.bias` follow the name.
struct Source {
  std::string name;
  int64_t out = 0;
};

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

  absl::StatusOr<std::vector<float>> Vector(const std::string& name, int64_t width) const {
    return Floats(name, {width});
  }

  // The matrices `sources` (name and rows of each) on top of one another.
  absl::StatusOr<PackedMatrix> Matrix(const std::vector<Source>& sources, int64_t in,
                                      Layout layout = Layout::kOutIn) const {
    const bool transposed = layout == Layout::kInOut;
    std::vector<std::vector<float>> floats;
    std::vector<PackedMatrix::Rows> rows;
    for (const auto& [name, out] : sources) {
      FLOE_ASSIGN_OR_RETURN(std::vector<float> values,
                            Floats(name + ".weight", transposed ? std::vector<int64_t>{in, out}
                                                                : std::vector<int64_t>{out, in}));
      floats.push_back(std::move(values));
      rows.push_back({floats.back().data(), out, transposed});
    }
    PackedMatrix packed(rows, in);
    if (packed.bytes() == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory to pack tensor ", sources[0].name,
                       ".weight; use a machine with more, or unload a model"));
    }
    return packed;
  }

  // The biases of `sources`, one after the other, padded to whole panels.
  absl::StatusOr<std::vector<float>> Biases(const std::vector<Source>& sources) const {
    std::vector<float> all;
    for (const auto& [name, out] : sources) {
      FLOE_ASSIGN_OR_RETURN(const std::vector<float> bias, Vector(name + ".bias", out));
      all.insert(all.end(), bias.begin(), bias.end());
    }
    all.resize(static_cast<size_t>(RoundUp16(static_cast<int64_t>(all.size()))));
    return all;
  }

 private:
  const model::Checkpoint& checkpoint_;
};

absl::StatusOr<LayerWeights> LoadRopeLayer(const Reader& reader, const model::Blueprint& b,
                                           int64_t layer) {
  const std::string at = absl::StrCat("model.layers.", layer, ".");
  const int64_t q = b.num_heads * b.head_dim;
  const int64_t kv = b.num_kv_heads * b.head_dim;
  LayerWeights w;
  FLOE_ASSIGN_OR_RETURN(w.attention_norm.gain,
                        reader.Vector(at + "input_layernorm.weight", b.hidden_size));
  const std::vector<Source> qkv = {
      {at + "self_attn.q_proj", q}, {at + "self_attn.k_proj", kv}, {at + "self_attn.v_proj", kv}};
  FLOE_ASSIGN_OR_RETURN(w.qkv.weights, reader.Matrix(qkv, b.hidden_size));
  if (b.family == model::Family::kQwen2) {
    FLOE_ASSIGN_OR_RETURN(w.qkv.bias, reader.Biases(qkv));
  }
  if (b.family == model::Family::kQwen3) {
    FLOE_ASSIGN_OR_RETURN(w.query_norm, reader.Vector(at + "self_attn.q_norm.weight", b.head_dim));
    FLOE_ASSIGN_OR_RETURN(w.key_norm, reader.Vector(at + "self_attn.k_norm.weight", b.head_dim));
  }
  FLOE_ASSIGN_OR_RETURN(w.attention_out.weights,
                        reader.Matrix({{at + "self_attn.o_proj", b.hidden_size}}, q));
  FLOE_ASSIGN_OR_RETURN(w.ffn_norm.gain,
                        reader.Vector(at + "post_attention_layernorm.weight", b.hidden_size));
  std::vector<Source> up = {{at + "mlp.up_proj", b.ffn_hidden}};
  if (b.ffn == model::FfnKind::kGated) up.insert(up.begin(), {at + "mlp.gate_proj", b.ffn_hidden});
  FLOE_ASSIGN_OR_RETURN(w.up.weights, reader.Matrix(up, b.hidden_size));
  FLOE_ASSIGN_OR_RETURN(w.down.weights,
                        reader.Matrix({{at + "mlp.down_proj", b.hidden_size}}, b.ffn_hidden));
  return w;
}

absl::StatusOr<Norm> LoadLayerNorm(const Reader& reader, const std::string& name, int64_t width) {
  Norm norm;
  FLOE_ASSIGN_OR_RETURN(norm.gain, reader.Vector(name + ".weight", width));
  FLOE_ASSIGN_OR_RETURN(norm.shift, reader.Vector(name + ".bias", width));
  return norm;
}

// What GPT-2 calls a Conv1D.
absl::StatusOr<Linear> LoadConv1d(const Reader& reader, const std::string& name, int64_t in,
                                  int64_t out) {
  Linear linear;
  FLOE_ASSIGN_OR_RETURN(linear.weights, reader.Matrix({{name, out}}, in, Layout::kInOut));
  FLOE_ASSIGN_OR_RETURN(linear.bias, reader.Biases({{name, out}}));
  return linear;
}

absl::StatusOr<LayerWeights> LoadGpt2Layer(const Reader& reader, const model::Blueprint& b,
                                           int64_t layer) {
  const std::string at = absl::StrCat("transformer.h.", layer, ".");
  const int64_t d = b.hidden_size;
  LayerWeights w;
  FLOE_ASSIGN_OR_RETURN(w.attention_norm, LoadLayerNorm(reader, at + "ln_1", d));
  FLOE_ASSIGN_OR_RETURN(w.qkv, LoadConv1d(reader, at + "attn.c_attn", d, 3 * d));
  FLOE_ASSIGN_OR_RETURN(w.attention_out, LoadConv1d(reader, at + "attn.c_proj", d, d));
  FLOE_ASSIGN_OR_RETURN(w.ffn_norm, LoadLayerNorm(reader, at + "ln_2", d));
  FLOE_ASSIGN_OR_RETURN(w.up, LoadConv1d(reader, at + "mlp.c_fc", d, b.ffn_hidden));
  FLOE_ASSIGN_OR_RETURN(w.down, LoadConv1d(reader, at + "mlp.c_proj", b.ffn_hidden, d));
  return w;
}

}  // namespace

int64_t Weights::bytes() const {
  int64_t sum =
      embedding.bytes() + head.bytes() + static_cast<int64_t>(positions.size() * sizeof(float));
  for (const LayerWeights& layer : layers) {
    for (const Linear* linear : {&layer.qkv, &layer.attention_out, &layer.up, &layer.down}) {
      sum += linear->weights.bytes();
    }
  }
  return sum;
}

absl::StatusOr<Weights> LoadWeights(const model::Checkpoint& checkpoint) {
  const model::Blueprint& b = checkpoint.blueprint();
  FLOE_RETURN_IF_ERROR(b.Validate());
  const bool gpt2 = b.family == model::Family::kGpt2;
  const Reader reader(checkpoint);
  Weights w;
  FLOE_ASSIGN_OR_RETURN(
      w.embedding, reader.Matrix({{gpt2 ? "transformer.wte" : "model.embed_tokens", b.vocab_size}},
                                 b.hidden_size));
  if (gpt2) {
    FLOE_ASSIGN_OR_RETURN(w.positions,
                          reader.Floats("transformer.wpe.weight", {b.context, b.hidden_size}));
  }
  for (int64_t layer = 0; layer < b.num_layers; ++layer) {
    FLOE_ASSIGN_OR_RETURN(LayerWeights weights,
                          gpt2 ? LoadGpt2Layer(reader, b, layer) : LoadRopeLayer(reader, b, layer));
    w.layers.push_back(std::move(weights));
  }
  if (gpt2) {
    FLOE_ASSIGN_OR_RETURN(w.final_norm, LoadLayerNorm(reader, "transformer.ln_f", b.hidden_size));
  } else {
    FLOE_ASSIGN_OR_RETURN(w.final_norm.gain, reader.Vector("model.norm.weight", b.hidden_size));
  }
  if (!b.tie_embeddings) {
    FLOE_ASSIGN_OR_RETURN(w.head, reader.Matrix({{"lm_head", b.vocab_size}}, b.hidden_size));
  }
  return w;
}

}  // namespace floe::inference
