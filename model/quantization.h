// Weights in 8 bits: what a checkpoint stores instead of floats when it is made to be served only.
//
// A matrix is cut into groups of 32 numbers along its input dimension, and a group is 32 whole
// numbers from -127 to 127 with one 16-bit scale: w = scale * number, which 32-bit floats hold
// exactly. It is the arithmetic of GGUF's Q8_0 (ggml-org/ggml, docs/gguf.md). In a checkpoint the
// matrix NAME is I8 in the shape that it had, and NAME_scale is F16: [out, groups] beside [out,
// in], [groups, out] beside GPT-2's [in, out]. Vectors and learned positions stay as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "model/blueprint.h"

namespace floe::model {

class Checkpoint;

// How a checkpoint stores its matrices.
enum class WeightFormat {
  kFloat,  // F32, F16 or BF16, tensor by tensor
  kInt8,
};

std::string_view WeightFormatName(WeightFormat format);  // "float", "int8"

inline constexpr int64_t kQuantizationGroup = 32;

inline constexpr int64_t QuantizationGroups(int64_t in) {
  return (in + kQuantizationGroup - 1) / kQuantizationGroup;
}

// Name of the tensor with the scales of `name`.
std::string ScaleName(std::string_view name);

// Whether kInt8 stores this tensor in 8 bits.
bool IsQuantized(const TensorSpec& spec);

// Every tensor that a checkpoint of this blueprint holds in this format: TensorsOf, and with kInt8
// the scales behind their matrices.
std::vector<TensorSpec> StoredTensorsOf(const Blueprint& blueprint, WeightFormat format);

// Where the numbers of a matrix [out, in] lie.
struct MatrixLayout {
  int64_t out = 0;
  int64_t in = 0;
  bool transposed = false;  // stored [in, out]

  int64_t At(int64_t row, int64_t column) const {
    return transposed ? column * out + row : row * in + column;
  }
  int64_t ScaleAt(int64_t row, int64_t group) const {
    return transposed ? group * out + row : row * QuantizationGroups(in) + group;
  }
};

// GPT-2's linear layers are stored [in, out], all else [out, in]. Requires IsQuantized(spec).
MatrixLayout LayoutOf(const TensorSpec& spec);

struct QuantizedMatrix {
  std::vector<int8_t> numbers;   // in the layout's order
  std::vector<uint16_t> scales;  // bits of F16
};

// Each number to the nearest multiple of its group's scale, ties away from zero; the scale is the
// largest magnitude / 127, rounded up to F16 where rounding down would push it past 127. Numbers
// must be finite. OUT_OF_RANGE when a magnitude is beyond 127 times the largest F16.
absl::StatusOr<QuantizedMatrix> Quantize(std::span<const float> weights,
                                         const MatrixLayout& layout);

// Writes `source` in 8 bits to `folder`, which must not exist, with `source` as its parent; files
// of the tokenizer go along. Returns the digest. FAILED_PRECONDITION when it is in 8 bits already;
// the errors of Quantize and WriteCheckpoint.
absl::StatusOr<std::string> QuantizeCheckpoint(const Checkpoint& source,
                                               const std::filesystem::path& folder);

}  // namespace floe::model
