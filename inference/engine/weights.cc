#include "inference/engine/weights.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/engine/checkpoint_tensors.h"
#include "inference/engine/int8_matmul.h"
#include "inference/engine/weight_names.h"
#include "inference/engine/weight_rows.h"
#include "inference/engine/worker_pool.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

// Reads tensors by name; checks shapes against what the engine is about to index. Matrices are
// packed together at the end, on all threads.
class Loader {
 public:
  explicit Loader(const model::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  absl::StatusOr<std::vector<float>> Floats(const std::string& name,
                                            const std::vector<int64_t>& shape) const {
    return FiniteFloats(checkpoint_, name, shape);
  }

  absl::StatusOr<std::vector<float>> Vector(const std::string& name, int64_t width) const {
    return Floats(name, {width});
  }

  // The matrices, on top of one another, and their biases. `linear` must stay where it is until
  // Pack.
  absl::Status Load(const LinearNames& names, Linear& linear) {
    if (names.biased) {
      FLOE_ASSIGN_OR_RETURN(linear.bias, Biases(names));
    }
    return Matrix(names, linear.weights);
  }
  absl::Status Matrix(const LinearNames& names, PackedMatrix& matrix) {
    const auto& [parts, in, transposed, biased] = names;
    Packing packing{&matrix, {}, {}};
    int64_t rows = 0;
    bool narrow = false;
    for (const auto& [stem, out] : parts) {
      const std::string name = stem + ".weight";
      FLOE_ASSIGN_OR_RETURN(const model::TensorView view,
                            TensorOfShape(checkpoint_, name,
                                          transposed ? std::vector<int64_t>{in, out}
                                                     : std::vector<int64_t>{out, in}));
      WeightSource source{view, std::nullopt, out, transposed};
      narrow = view.dtype == model::DType::kI8;
      if (narrow) {
        FLOE_ASSIGN_OR_RETURN(source.scales, checkpoint_.Tensor(model::ScaleName(name)));
      }
      rows += out;
      packing.names.push_back(name);
      packing.sources.push_back(std::move(source));
    }
    matrix = narrow ? PackedMatrix(rows, in, FastestStepsTogether()) : PackedMatrix(rows, in);
    if (matrix.bytes() == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory to pack tensor ", packing.names[0],
                       "; use a machine with more, or unload a model"));
    }
    packings_.push_back(std::move(packing));
    return absl::OkStatus();
  }

  absl::Status Load(const NormNames& names, int64_t width, Norm& norm) const {
    FLOE_ASSIGN_OR_RETURN(norm.gain, Vector(names.gain, width));
    if (!names.shift.empty()) {
      FLOE_ASSIGN_OR_RETURN(norm.shift, Vector(names.shift, width));
    }
    return absl::OkStatus();
  }

  // One after the other, padded to whole panels.
  absl::StatusOr<std::vector<float>> Biases(const LinearNames& names) const {
    std::vector<float> all;
    for (const auto& [name, out] : names.parts) {
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
    std::vector<WeightRows> copies(static_cast<size_t>(num_threads));
    std::vector<absl::Status> read(pieces.size());
    WorkerPool(num_threads).Run(static_cast<int64_t>(pieces.size()), [&](int64_t i, int thread) {
      const auto& [packing, begin, end] = pieces[static_cast<size_t>(i)];
      WeightRows& copy = copies[static_cast<size_t>(thread)];
      const int64_t first_row = begin * kPanelColumns;
      read[i] = copy.Copy(checkpoint_, packing->sources, packing->matrix->in(), first_row,
                          end * kPanelColumns);
      if (!read[i].ok()) return;
      if (!packing->matrix->Pack(copy.rows(), first_row, begin, end)) finite = false;
    });
    for (const absl::Status& status : read) FLOE_RETURN_IF_ERROR(status);
    return finite ? absl::OkStatus() : FirstNotFinite();
  }

 private:
  struct Packing {
    PackedMatrix* matrix = nullptr;
    std::vector<std::string> names;  // of the sources
    std::vector<WeightSource> sources;
  };

  absl::Status FirstNotFinite() const {
    for (const Packing& packing : packings_) {
      for (const std::string& matrix : packing.names) {
        for (const std::string& name : {matrix, model::ScaleName(matrix)}) {
          const auto view = checkpoint_.Tensor(name);
          if (!view.ok()) continue;
          FLOE_ASSIGN_OR_RETURN(const std::vector<float> values, checkpoint_.Floats(*view));
          FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint_, name, values));
        }
      }
    }
    return absl::InternalError("a number that is not finite was seen and not found again");
  }

  const model::Checkpoint& checkpoint_;
  std::vector<Packing> packings_;
};

absl::Status LoadLayer(Loader& loader, const model::Blueprint& b, const LayerNames& names,
                       LayerWeights& w) {
  FLOE_RETURN_IF_ERROR(loader.Load(names.attention_norm, b.hidden_size, w.attention_norm));
  FLOE_RETURN_IF_ERROR(loader.Load(names.qkv, w.qkv));
  if (!names.query_norm.empty()) {
    FLOE_ASSIGN_OR_RETURN(w.query_norm, loader.Vector(names.query_norm, b.head_dim));
    FLOE_ASSIGN_OR_RETURN(w.key_norm, loader.Vector(names.key_norm, b.head_dim));
  }
  FLOE_RETURN_IF_ERROR(loader.Load(names.attention_out, w.attention_out));
  FLOE_RETURN_IF_ERROR(loader.Load(names.ffn_norm, b.hidden_size, w.ffn_norm));
  FLOE_RETURN_IF_ERROR(loader.Load(names.up, w.up));
  return loader.Load(names.down, w.down);
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
  const WeightNames names = NamesOfWeights(b);
  Loader loader(checkpoint);
  Weights w;
  FLOE_RETURN_IF_ERROR(loader.Matrix(names.embedding, w.embedding));
  if (!names.positions.empty()) {
    FLOE_ASSIGN_OR_RETURN(w.positions, loader.Floats(names.positions, {b.context, b.hidden_size}));
  }
  w.layers.resize(names.layers.size());
  for (size_t layer = 0; layer < names.layers.size(); ++layer) {
    FLOE_RETURN_IF_ERROR(LoadLayer(loader, b, names.layers[layer], w.layers[layer]));
  }
  FLOE_RETURN_IF_ERROR(loader.Load(names.final_norm, b.hidden_size, w.final_norm));
  if (!names.head.parts.empty()) FLOE_RETURN_IF_ERROR(loader.Matrix(names.head, w.head));
  FLOE_RETURN_IF_ERROR(loader.Pack(num_threads));
  return w;
}

}  // namespace floe::inference
