#include "inference/engine/checkpoint_tensors.h"

#include <cmath>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference {

absl::StatusOr<model::TensorView> TensorOfShape(const model::Checkpoint& checkpoint,
                                                const std::string& name,
                                                const std::vector<int64_t>& shape) {
  FLOE_ASSIGN_OR_RETURN(model::TensorView view, checkpoint.Tensor(name));
  if (view.shape == shape) return view;
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor ", name, " in ", checkpoint.folder().string(),
      " does not have the shape that the blueprint gives it; write the checkpoint again"));
}

absl::Status CheckFinite(const model::Checkpoint& checkpoint, const std::string& name,
                         std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::DataLossError(
        absl::StrCat("tensor ", name, " in ", checkpoint.folder().string(),
                     " holds a NaN or infinity at element ", i,
                     "; the training run diverged: use an earlier checkpoint"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> FiniteFloats(const model::Checkpoint& checkpoint,
                                                const std::string& name,
                                                const std::vector<int64_t>& shape) {
  FLOE_ASSIGN_OR_RETURN(const model::TensorView view, TensorOfShape(checkpoint, name, shape));
  FLOE_ASSIGN_OR_RETURN(std::vector<float> values, checkpoint.Floats(view));
  FLOE_RETURN_IF_ERROR(CheckFinite(checkpoint, name, values));
  return values;
}

}  // namespace floe::inference
