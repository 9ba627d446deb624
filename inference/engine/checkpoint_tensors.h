// A checkpoint's tensors as an engine takes them: of the shape that it is about to index, and
// numbers throughout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "model/checkpoint.h"

namespace floe::inference {

// INVALID_ARGUMENT names a tensor of another shape, NOT_FOUND one that is not there.
absl::StatusOr<model::TensorView> TensorOfShape(const model::Checkpoint& checkpoint,
                                                const std::string& name,
                                                const std::vector<int64_t>& shape);

// DATA_LOSS names the tensor and its first NaN or infinity.
absl::Status CheckFinite(const model::Checkpoint& checkpoint, const std::string& name,
                         std::span<const float> values);

// The elements of TensorOfShape as 32-bit floats, checked.
absl::StatusOr<std::vector<float>> FiniteFloats(const model::Checkpoint& checkpoint,
                                                const std::string& name,
                                                const std::vector<int64_t>& shape);

}  // namespace floe::inference
