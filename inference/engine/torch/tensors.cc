#include "inference/engine/torch/tensors.h"

#include <cmath>
#include <string>

#include "base/status_macros.h"
#include "inference/engine/checkpoint_tensors.h"
#include "inference/engine/weight_names.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

class Loader {
 public:
  Loader(const model::Checkpoint& checkpoint, at::Device device, at::ScalarType type)
      : checkpoint_(checkpoint), device_(device), type_(type) {}

  absl::StatusOr<at::Tensor> Floats(const std::string& name,
                                    const std::vector<int64_t>& shape) const {
    FLOE_ASSIGN_OR_RETURN(std::vector<float> values, FiniteFloats(checkpoint_, name, shape));
    return OnDevice(values, shape, at::kFloat);
  }

  // [out, in], its parts on top of one another.
  absl::StatusOr<at::Tensor> Matrix(const LinearNames& names) const {
    std::vector<at::Tensor> parts;
    for (const LinearNames::Part& part : names.parts) {
      const model::MatrixLayout layout{part.out, names.in, names.transposed};
      FLOE_ASSIGN_OR_RETURN(at::Tensor matrix, Part(part.stem + ".weight", layout));
      parts.push_back(names.transposed ? matrix.t() : matrix);
    }
    return parts.size() == 1 ? parts[0] : at::cat(parts);
  }

  absl::StatusOr<LinearTensors> Linear(const LinearNames& names) const {
    LinearTensors linear;
    FLOE_ASSIGN_OR_RETURN(linear.weight, Matrix(names));
    if (!names.biased) return linear;
    std::vector<at::Tensor> biases;
    for (const LinearNames::Part& part : names.parts) {
      FLOE_ASSIGN_OR_RETURN(at::Tensor bias, Floats(part.stem + ".bias", {part.out}));
      biases.push_back(bias.to(type_));
    }
    linear.bias = at::cat(biases);
    return linear;
  }

  absl::StatusOr<NormTensors> Norm(const NormNames& names, int64_t width) const {
    NormTensors norm;
    FLOE_ASSIGN_OR_RETURN(norm.gain, Floats(names.gain, {width}));
    if (!names.shift.empty()) {
      FLOE_ASSIGN_OR_RETURN(norm.shift, Floats(names.shift, {width}));
    }
    return norm;
  }

  at::Tensor OnDevice(std::vector<float>& values, at::IntArrayRef shape,
                      at::ScalarType type) const {
    // The clone owns its numbers, also where device and type are those of the source.
    return at::from_blob(values.data(), shape, at::kFloat).clone().to(device_, type);
  }

 private:
  // As it is stored, 8 bits widened.
  absl::StatusOr<at::Tensor> Part(const std::string& name,
                                  const model::MatrixLayout& layout) const {
    const std::vector<int64_t> shape = layout.transposed
                                           ? std::vector<int64_t>{layout.in, layout.out}
                                           : std::vector<int64_t>{layout.out, layout.in};
    FLOE_ASSIGN_OR_RETURN(const model::TensorView view, TensorOfShape(checkpoint_, name, shape));
    FLOE_ASSIGN_OR_RETURN(std::vector<float> values, checkpoint_.Floats(view));
    FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint_, name, values));
    if (view.dtype == model::DType::kI8) {
      const std::string scale_name = model::ScaleName(name);
      FLOE_ASSIGN_OR_RETURN(const model::TensorView scale_view, checkpoint_.Tensor(scale_name));
      FLOE_ASSIGN_OR_RETURN(const std::vector<float> scales, checkpoint_.Floats(scale_view));
      FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint_, scale_name, scales));
      for (int64_t row = 0; row < layout.out; ++row) {
        for (int64_t k = 0; k < layout.in; ++k) {
          values[layout.At(row, k)] *= scales[layout.ScaleAt(row, k / model::kQuantizationGroup)];
        }
      }
    }
    return OnDevice(values, shape, type_);
  }

  const model::Checkpoint& checkpoint_;
  const at::Device device_;
  const at::ScalarType type_;
};

absl::StatusOr<LayerTensors> LoadLayer(const Loader& loader, const model::Blueprint& b,
                                       const LayerNames& names) {
  LayerTensors layer;
  FLOE_ASSIGN_OR_RETURN(layer.attention_norm, loader.Norm(names.attention_norm, b.hidden_size));
  FLOE_ASSIGN_OR_RETURN(layer.qkv, loader.Linear(names.qkv));
  if (!names.query_norm.empty()) {
    FLOE_ASSIGN_OR_RETURN(const at::Tensor query, loader.Floats(names.query_norm, {b.head_dim}));
    FLOE_ASSIGN_OR_RETURN(const at::Tensor key, loader.Floats(names.key_norm, {b.head_dim}));
    layer.head_gain = at::cat(
        {query.expand({b.num_heads, b.head_dim}), key.expand({b.num_kv_heads, b.head_dim})});
  }
  FLOE_ASSIGN_OR_RETURN(layer.attention_out, loader.Linear(names.attention_out));
  FLOE_ASSIGN_OR_RETURN(layer.ffn_norm, loader.Norm(names.ffn_norm, b.hidden_size));
  FLOE_ASSIGN_OR_RETURN(layer.up, loader.Linear(names.up));
  FLOE_ASSIGN_OR_RETURN(layer.down, loader.Linear(names.down));
  return layer;
}

// Angles in 32 bits, as the models were trained with and the CPU engine has them.
void MakeRope(const Loader& loader, const model::Blueprint& b, ModelTensors& model) {
  const int64_t half = b.head_dim / 2;
  std::vector<float> cosines(b.context * half), sines(b.context * half);
  const auto frequencies = model::RopeInverseFrequencies(b.head_dim, b.rope_theta, b.rope_scaling);
  for (int64_t i = 0; i < half; ++i) {
    const auto frequency = static_cast<float>(frequencies[i]);
    for (int64_t position = 0; position < b.context; ++position) {
      const double angle = static_cast<float>(position) * frequency;
      cosines[position * half + i] = static_cast<float>(std::cos(angle));
      sines[position * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  model.cosines = loader.OnDevice(cosines, {b.context, half}, at::kFloat);
  model.sines = loader.OnDevice(sines, {b.context, half}, at::kFloat);
}

}  // namespace

absl::StatusOr<ModelTensors> LoadTensors(const model::Checkpoint& checkpoint, at::Device device,
                                         at::ScalarType type) {
  const model::Blueprint& b = checkpoint.blueprint();
  FLOE_RETURN_IF_ERROR(b.Validate());
  const WeightNames names = NamesOfWeights(b);
  const Loader loader(checkpoint, device, type);
  ModelTensors model;
  FLOE_ASSIGN_OR_RETURN(model.embedding, loader.Matrix(names.embedding));
  if (names.positions.empty()) {
    MakeRope(loader, b, model);
  } else {
    FLOE_ASSIGN_OR_RETURN(model.positions,
                          loader.Floats(names.positions, {b.context, b.hidden_size}));
  }
  for (const LayerNames& layer : names.layers) {
    FLOE_ASSIGN_OR_RETURN(model.layers.emplace_back(), LoadLayer(loader, b, layer));
  }
  FLOE_ASSIGN_OR_RETURN(model.final_norm, loader.Norm(names.final_norm, b.hidden_size));
  model.head = model.embedding;
  if (!names.head.parts.empty()) {
    FLOE_ASSIGN_OR_RETURN(model.head, loader.Matrix(names.head));
  }
  return model;
}

}  // namespace floe::inference
