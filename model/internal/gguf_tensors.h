// A checkpoint's tensors under GGUF's names and in its order of numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "model/checkpoint.h"

namespace floe::model {

// Borrows the checkpoint's bytes, but for what is computed.
struct GgufTensor {
  enum class Order {
    kAsStored,
    kTransposed,  // [in, out] -> [out, in]: GPT-2's Conv1D
    kRopePairs,   // rows of a head: half-split -> neighbouring pairs, as llama.cpp turns llama's
  };
  std::string name;
  std::vector<int64_t> shape;  // row-major, as written
  TensorView source;
  Order order = Order::kAsStored;
  int64_t heads = 0;            // with kRopePairs
  TensorView scales;            // of 8-bit weights
  std::vector<float> computed;  // no tensor of the checkpoint: instead of `source`

  bool Quantized() const { return source.dtype == DType::kI8; }
  // Vectors are written as F32.
  bool Widened() const { return shape.size() == 1 && source.dtype != DType::kF32; }
  uint32_t GgmlType() const;
  uint64_t ByteSize() const;
  std::string Bytes() const;
};

// NOT_FOUND when a tensor of the blueprint is missing, UNIMPLEMENTED when GGUF's blocks of 32 do
// not fit the rows of 8-bit weights.
absl::StatusOr<std::vector<GgufTensor>> GgufTensorsOf(const Checkpoint& checkpoint);

}  // namespace floe::model
