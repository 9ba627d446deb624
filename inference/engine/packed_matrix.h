// A weight matrix in the order in which the kernels read it.
//
// W is [out, in] (GPT-2: [in, out]) row-major in a checkpoint and y = W x. Packed, 16 output
// columns form a panel. A panel of floats lies as [in][16]: one step along `in` is one cache line.
// A panel of 8-bit weights (model/quantization.h) is a list of blocks, one for each 32 steps along
// `in`: 16 scales in F16, then the numbers [16][16][2]: pairs of steps, which are multiplied and
// added together. The layout does not depend on the instruction set. Rows beyond `out` in the last
// panel are zero, and so are steps beyond `in` in the last block.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/engine/aligned_buffer.h"
#include "model/quantization.h"
#include "model/safetensors.h"

namespace floe::inference {

inline constexpr int64_t kPanelColumns = 16;
inline constexpr int64_t kBlockScaleBytes = kPanelColumns * 2;
inline constexpr int64_t kBlockBytes = kBlockScaleBytes + model::kQuantizationGroup * kPanelColumns;
// Where a block holds the number of column c at step i.
inline constexpr int64_t BlockOffset(int64_t i, int64_t c) {
  return kBlockScaleBytes + (i / 2 * kPanelColumns + c) * 2 + i % 2;
}

// Immutable once packed; safe to read from many threads.
class PackedMatrix {
 public:
  // One source of rows as a checkpoint stores them, borrowed; several stacked make one matrix (q, k
  // and v; gate and up). All are floats, of any width, or all are 8-bit.
  struct Rows {
    const void* numbers = nullptr;  // row-major: [count, in], or [in, count] where transposed
    int64_t count = 0;
    bool transposed = false;  // as GPT-2 stores its linear layers
    model::DType type = model::DType::kF32;
    const void* scales = nullptr;  // F16, with kI8
  };

  PackedMatrix() = default;
  // Room for the matrix, all zero; bytes() is 0 when the memory is not to be had.
  PackedMatrix(const std::vector<Rows>& sources, int64_t in);
  // Packs the panels [begin, end) from the same sources; ranges that do not meet may be packed at
  // the same time. False when a number among them is NaN or infinite.
  bool Pack(const std::vector<Rows>& sources, int64_t begin, int64_t end);

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t num_panels() const { return (out_ + kPanelColumns - 1) / kPanelColumns; }
  bool quantized() const { return blocks_.size() > 0; }
  // [in][16]; of floats.
  const float* Panel(int64_t panel) const { return floats_.data() + panel * in_ * kPanelColumns; }
  // The blocks of a panel of 8-bit weights.
  const uint8_t* Blocks(int64_t panel) const {
    return blocks_.data() + panel * model::QuantizationGroups(in_) * kBlockBytes;
  }
  // Copies row `row` of W (the embedding of a token, where the head is tied) to `to`, `in` floats.
  void CopyRow(int64_t row, float* to) const;
  int64_t bytes() const { return floats_.bytes() + blocks_.bytes(); }

 private:
  bool PackFloats(const std::vector<Rows>& sources, int64_t panel);
  bool PackBlocks(const std::vector<Rows>& sources, int64_t panel);

  int64_t out_ = 0;
  int64_t in_ = 0;
  AlignedBuffer<float> floats_;
  AlignedBuffer<uint8_t> blocks_;
};

}  // namespace floe::inference
