#include "inference/engine/weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/engine/worker_pool.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

// Rows of a matrix; `.weight` and `.bias` follow the name.
struct Source {
  std::string name;
  int64_t out = 0;
};

absl::Status NotFinite(const model::Checkpoint& checkpoint, const std::string& name,
                       size_t element) {
  return absl::DataLossError(absl::StrCat(
      "tensor ", name, " in ", checkpoint.folder().string(), " holds a NaN or infinity at element ",
      element, "; the training run diverged: use an earlier checkpoint"));
}

absl::Status CheckFinite(const model::Checkpoint& checkpoint, const std::string& name,
                         std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return NotFinite(checkpoint, name, i);
  }
  return absl::OkStatus();
}

// Reads tensors by name; checks shapes against what the engine is about to index. Matrices are
// packed together at the end, on all threads.
class Loader {
 public:
  explicit Loader(const model::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  absl::StatusOr<std::vector<float>> Floats(const std::string& name,
                                            const std::vector<int64_t>& shape) const {
    FLOE_ASSIGN_OR_RETURN(const model::TensorView view, Tensor(name, shape));
    std::vector<float> values = view.ToFloats();
    FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint_, name, values));
    return values;
  }

  absl::StatusOr<std::vector<float>> Vector(const std::string& name, int64_t width) const {
    return Floats(name, {width});
  }

  // The matrices `sources` (name and rows of each) on top of one another. `matrix` must stay where
  // it is until Pack.
  absl::Status Matrix(const std::vector<Source>& sources, int64_t in, PackedMatrix& matrix,
                      bool transposed = false) {
    Packing packing{&matrix, {}, {}};
    for (const auto& [stem, out] : sources) {
      const std::string name = stem + ".weight";
      FLOE_ASSIGN_OR_RETURN(
          const model::TensorView view,
          Tensor(name, transposed ? std::vector<int64_t>{in, out} : std::vector<int64_t>{out, in}));
      PackedMatrix::Rows rows{view.bytes.data(), out, transposed, view.dtype};
      if (view.dtype == model::DType::kI8) {
        FLOE_ASSIGN_OR_RETURN(const model::TensorView scales,
                              checkpoint_.Tensor(model::ScaleName(name)));
        rows.scales = scales.bytes.data();
      }
      packing.names.push_back(name);
      packing.sources.push_back(rows);
    }
    matrix = PackedMatrix(packing.sources, in);
    if (matrix.bytes() == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory to pack tensor ", packing.names[0],
                       "; use a machine with more, or unload a model"));
    }
    packings_.push_back(std::move(packing));
    return absl::OkStatus();
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

  absl::Status Pack(int num_threads) {
    constexpr int64_t kPanelsAPiece = 32;
    struct Piece {
      Packing* packing;
      int64_t begin, end;
    };
    std::vector<Piece> pieces;
    for (Packing& packing : packings_) {
      const int64_t panels = packing.matrix->num_panels();
      for (int64_t begin = 0; begin < panels; begin += kPanelsAPiece) {
        pieces.push_back({&packing, begin, std::min(panels, begin + kPanelsAPiece)});
      }
    }
    std::atomic<bool> finite = true;
    WorkerPool(num_threads).Run(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
      const Piece& piece = pieces[static_cast<size_t>(i)];
      if (!piece.packing->matrix->Pack(piece.packing->sources, piece.begin, piece.end)) {
        finite = false;
      }
    });
    return finite ? absl::OkStatus() : FirstNotFinite();
  }

 private:
  struct Packing {
    PackedMatrix* matrix = nullptr;
    std::vector<std::string> names;  // of the sources
    std::vector<PackedMatrix::Rows> sources;
  };

  absl::StatusOr<model::TensorView> Tensor(const std::string& name,
                                           const std::vector<int64_t>& shape) const {
    FLOE_ASSIGN_OR_RETURN(model::TensorView view, checkpoint_.Tensor(name));
    if (view.shape == shape) return view;
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", name, " in ", checkpoint_.folder().string(),
        " does not have the shape that the blueprint gives it; write the checkpoint again"));
  }

  absl::Status FirstNotFinite() const {
    for (const Packing& packing : packings_) {
      for (const std::string& matrix : packing.names) {
        for (const std::string& name : {matrix, model::ScaleName(matrix)}) {
          const auto view = checkpoint_.Tensor(name);
          if (view.ok()) FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint_, name, view->ToFloats()));
        }
      }
    }
    return absl::InternalError("a number that is not finite was seen and not found again");
  }

  const model::Checkpoint& checkpoint_;
  std::vector<Packing> packings_;
};

absl::Status LoadRopeLayer(Loader& loader, const model::Blueprint& b, int64_t layer,
                           LayerWeights& w) {
  const std::string at = absl::StrCat("model.layers.", layer, ".");
  const int64_t q = b.num_heads * b.head_dim;
  const int64_t kv = b.num_kv_heads * b.head_dim;
  FLOE_ASSIGN_OR_RETURN(w.attention_norm.gain,
                        loader.Vector(at + "input_layernorm.weight", b.hidden_size));
  const std::vector<Source> qkv = {
      {at + "self_attn.q_proj", q}, {at + "self_attn.k_proj", kv}, {at + "self_attn.v_proj", kv}};
  FLOE_RETURN_IF_ERROR(loader.Matrix(qkv, b.hidden_size, w.qkv.weights));
  if (b.family == model::Family::kQwen2) {
    FLOE_ASSIGN_OR_RETURN(w.qkv.bias, loader.Biases(qkv));
  }
  if (b.family == model::Family::kQwen3) {
    FLOE_ASSIGN_OR_RETURN(w.query_norm, loader.Vector(at + "self_attn.q_norm.weight", b.head_dim));
    FLOE_ASSIGN_OR_RETURN(w.key_norm, loader.Vector(at + "self_attn.k_norm.weight", b.head_dim));
  }
  FLOE_RETURN_IF_ERROR(
      loader.Matrix({{at + "self_attn.o_proj", b.hidden_size}}, q, w.attention_out.weights));
  FLOE_ASSIGN_OR_RETURN(w.ffn_norm.gain,
                        loader.Vector(at + "post_attention_layernorm.weight", b.hidden_size));
  std::vector<Source> up = {{at + "mlp.up_proj", b.ffn_hidden}};
  if (b.ffn == model::FfnKind::kGated) up.insert(up.begin(), {at + "mlp.gate_proj", b.ffn_hidden});
  FLOE_RETURN_IF_ERROR(loader.Matrix(up, b.hidden_size, w.up.weights));
  return loader.Matrix({{at + "mlp.down_proj", b.hidden_size}}, b.ffn_hidden, w.down.weights);
}

absl::StatusOr<Norm> LoadLayerNorm(const Loader& loader, const std::string& name, int64_t width) {
  Norm norm;
  FLOE_ASSIGN_OR_RETURN(norm.gain, loader.Vector(name + ".weight", width));
  FLOE_ASSIGN_OR_RETURN(norm.shift, loader.Vector(name + ".bias", width));
  return norm;
}

// What GPT-2 calls a Conv1D.
absl::Status LoadConv1d(Loader& loader, const std::string& name, int64_t in, int64_t out,
                        Linear& linear) {
  FLOE_ASSIGN_OR_RETURN(linear.bias, loader.Biases({{name, out}}));
  return loader.Matrix({{name, out}}, in, linear.weights, /*transposed=*/true);
}

absl::Status LoadGpt2Layer(Loader& loader, const model::Blueprint& b, int64_t layer,
                           LayerWeights& w) {
  const std::string at = absl::StrCat("transformer.h.", layer, ".");
  const int64_t d = b.hidden_size;
  FLOE_ASSIGN_OR_RETURN(w.attention_norm, LoadLayerNorm(loader, at + "ln_1", d));
  FLOE_RETURN_IF_ERROR(LoadConv1d(loader, at + "attn.c_attn", d, 3 * d, w.qkv));
  FLOE_RETURN_IF_ERROR(LoadConv1d(loader, at + "attn.c_proj", d, d, w.attention_out));
  FLOE_ASSIGN_OR_RETURN(w.ffn_norm, LoadLayerNorm(loader, at + "ln_2", d));
  FLOE_RETURN_IF_ERROR(LoadConv1d(loader, at + "mlp.c_fc", d, b.ffn_hidden, w.up));
  return LoadConv1d(loader, at + "mlp.c_proj", b.ffn_hidden, d, w.down);
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

absl::StatusOr<Weights> LoadWeights(const model::Checkpoint& checkpoint, int num_threads) {
  const model::Blueprint& b = checkpoint.blueprint();
  FLOE_RETURN_IF_ERROR(b.Validate());
  const bool gpt2 = b.family == model::Family::kGpt2;
  Loader loader(checkpoint);
  Weights w;
  FLOE_RETURN_IF_ERROR(
      loader.Matrix({{gpt2 ? "transformer.wte" : "model.embed_tokens", b.vocab_size}},
                    b.hidden_size, w.embedding));
  if (gpt2) {
    FLOE_ASSIGN_OR_RETURN(w.positions,
                          loader.Floats("transformer.wpe.weight", {b.context, b.hidden_size}));
  }
  w.layers.resize(static_cast<size_t>(b.num_layers));
  for (int64_t layer = 0; layer < b.num_layers; ++layer) {
    LayerWeights& weights = w.layers[static_cast<size_t>(layer)];
    FLOE_RETURN_IF_ERROR(gpt2 ? LoadGpt2Layer(loader, b, layer, weights)
                              : LoadRopeLayer(loader, b, layer, weights));
  }
  if (gpt2) {
    FLOE_ASSIGN_OR_RETURN(w.final_norm, LoadLayerNorm(loader, "transformer.ln_f", b.hidden_size));
  } else {
    FLOE_ASSIGN_OR_RETURN(w.final_norm.gain, loader.Vector("model.norm.weight", b.hidden_size));
  }
  if (!b.tie_embeddings) {
    FLOE_RETURN_IF_ERROR(loader.Matrix({{"lm_head", b.vocab_size}}, b.hidden_size, w.head));
  }
  FLOE_RETURN_IF_ERROR(loader.Pack(num_threads));
  return w;
}

}  // namespace floe::inference
