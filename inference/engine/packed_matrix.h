// A weight matrix in the order in which the kernels read it.
//
// W is [out, in] (GPT-2: [in, out]) row-major in a checkpoint and y = W x. Packed, 16 output
// columns form a panel, and a panel lies as [in][16]: one step along `in` is one cache line. The
// layout does not depend on the instruction set. Rows beyond `out` in the last panel are zero.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/engine/aligned_floats.h"

namespace floe::inference {

inline constexpr int64_t kPanelColumns = 16;

// Immutable once packed; safe to read from many threads.
class PackedMatrix {
 public:
  // One source of rows; several stacked make one matrix (q, k and v; gate and up).
  struct Rows {
    const float* weights = nullptr;  // row-major: [count, in], or [in, count] where transposed
    int64_t count = 0;
    bool transposed = false;  // as GPT-2 stores its linear layers
  };

  PackedMatrix() = default;
  PackedMatrix(const std::vector<Rows>& sources, int64_t in);

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t num_panels() const { return (out_ + kPanelColumns - 1) / kPanelColumns; }
  // [in][16]
  const float* Panel(int64_t panel) const { return data_.data() + panel * in_ * kPanelColumns; }
  // Copies row `row` of W (the embedding of a token, where the head is tied) to `to`, `in` floats.
  void CopyRow(int64_t row, float* to) const;
  int64_t bytes() const { return data_.size() * static_cast<int64_t>(sizeof(float)); }

 private:
  int64_t out_ = 0;
  int64_t in_ = 0;
  AlignedFloats data_;
};

}  // namespace floe::inference
