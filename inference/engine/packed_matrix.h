// A weight matrix in the order in which the kernels read it.
//
// W is [out, in] (GPT-2: [in, out]) row-major in a checkpoint and y = W x. Packed, 16 output
// columns form a panel. A panel of floats lies as [in][16]: one step along `in` is one cache line.
// A panel of 8-bit weights (model/quantization.h) holds the numbers of its groups of 32 steps along
// `in`, and behind them their scales, [groups][16] in F16. The numbers of a group lie as
// [32 / together][16][together], for steps that one instruction multiplies and adds together; how
// many those are depends on the machine (int8_matmul.h). Rows beyond `out` in the last panel are
// zero, and so are steps beyond `in` in the last group.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/engine/aligned_buffer.h"
#include "model/quantization.h"
#include "model/safetensors.h"

namespace floe::inference {

inline constexpr int64_t kPanelColumns = 16;
// Steps along `in` that lie together. Four are stored with 128 added, as numbers without a sign.
enum class StepsTogether : int64_t { kTwo = 2, kFour = 4 };

inline constexpr int64_t kGroupBytes = model::kQuantizationGroup * kPanelColumns;
// Where the number of column c at step i lies in its group.
template <StepsTogether kTogether>
constexpr int64_t NumberOffset(int64_t i, int64_t c) {
  constexpr auto kSteps = static_cast<int64_t>(kTogether);
  return (i / kSteps * kPanelColumns + c) * kSteps + i % kSteps;
}

// Immutable once packed; safe to read from many threads.
class PackedMatrix {
 public:
  // Rows of W as a checkpoint stores them, borrowed; several stacked make one matrix (q, k and v;
  // gate and up). All are floats, of any width, or all are 8-bit.
  struct Rows {
    const void* numbers = nullptr;  // row-major: [count, in], or [in, count] where transposed
    int64_t count = 0;
    bool transposed = false;  // as GPT-2 stores its linear layers
    model::DType type = model::DType::kF32;
    const void* scales = nullptr;  // F16, with kI8
  };

  PackedMatrix() = default;
  // Room for a matrix [out, in], all zero; bytes() is 0 when the memory is not to be had.
  PackedMatrix(int64_t out, int64_t in);
  // Likewise for weights in 8 bits.
  PackedMatrix(int64_t out, int64_t in, StepsTogether together);
  // Packs the panels [begin, end) from sources that, stacked, begin with row `first_row` of W and
  // hold all rows of those panels; ranges that do not meet may be packed at the same time. False
  // when a number among them is NaN or infinite.
  bool Pack(const std::vector<Rows>& sources, int64_t first_row, int64_t begin, int64_t end);

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  int64_t num_panels() const { return (out_ + kPanelColumns - 1) / kPanelColumns; }
  bool quantized() const { return numbers_.size() > 0; }
  // [in][16]; of floats.
  const float* Panel(int64_t panel) const { return floats_.data() + panel * in_ * kPanelColumns; }
  // Of a panel of 8-bit weights: the numbers of its groups, kGroupBytes each, on a border of 64
  // bytes, and its scales, [groups][16] in F16.
  const uint8_t* Numbers(int64_t panel) const { return numbers_.data() + panel * PanelBytes(); }
  const uint16_t* Scales(int64_t panel) const {
    return reinterpret_cast<const uint16_t*>(Numbers(panel) + groups() * kGroupBytes);
  }
  // Of all that belongs to a panel of 8-bit weights; whole cache lines.
  int64_t PanelBytes() const { return (groups() * (kGroupBytes + kScaleBytes) + 63) / 64 * 64; }
  int64_t groups() const { return model::QuantizationGroups(in_); }
  StepsTogether together() const { return together_; }
  // Copies row `row` of W (the embedding of a token, where the head is tied) to `to`, `in` floats.
  void CopyRow(int64_t row, float* to) const;
  int64_t bytes() const { return floats_.bytes() + numbers_.bytes(); }

 private:
  static constexpr int64_t kScaleBytes = kPanelColumns * 2;  // of a group

  bool PackFloats(const std::vector<Rows>& sources, int64_t first_row, int64_t panel);
  template <StepsTogether kTogether>
  bool PackNumbers(const std::vector<Rows>& sources, int64_t first_row, int64_t panel);
  template <StepsTogether kTogether>
  void CopyNumbers(int64_t row, float* to) const;

  int64_t out_ = 0;
  int64_t in_ = 0;
  StepsTogether together_ = StepsTogether::kTwo;
  AlignedBuffer<float> floats_;
  AlignedBuffer<uint8_t> numbers_;  // and scales
};

}  // namespace floe::inference
