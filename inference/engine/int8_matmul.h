// The product of activations and weights in 8 bits, as whole numbers. Same rule as matmul.h: an
// output depends on its own row and column alone.
//
// A row of activations is cut into the groups of its weights, and a group is rounded to whole
// numbers from -127 to 127 times a scale of its own, as GGML does for Q8_0 (ggml-org/ggml,
// ggml-quants.c). Within a group sums are exact; what they are depends on no order, no vector width
// and no company.
#pragma once

#include <cstdint>

#include "inference/engine/matmul.h"
#include "inference/engine/packed_matrix.h"

namespace floe::inference {

// What this machine multiplies fastest: four steps with AVX-512 VNNI, else two.
StepsTogether FastestStepsTogether();

// A rounded group of activations, in the form that weights of as many steps together are multiplied
// with. kTwo: 32 numbers of 16 bits. kFour: 32 of 8 bits, and behind them, in 32 bits, what a sum
// begins with: -128 times their sum, which takes back the 128 that is in each weight.
inline constexpr int64_t kRoundedGroupBytes = 64;

// Activations as whole numbers; borrowed.
struct RoundedRows {
  const uint8_t* numbers = nullptr;  // [count][groups][kRoundedGroupBytes], on a border of 4 bytes
  const float* scales = nullptr;     // [count][groups]
  int64_t count = 0;
  int64_t groups = 0;
};

// One row: with m the largest magnitude of a group, scale = m / 127 and each number is the whole
// one nearest to x * (127 / m), ties to even. Groups whose m is below 1e-30 become zeros. What is
// not finite gives a scale that is not. `width` floats give QuantizationGroups(width) groups, the
// last one filled with zeros.
void RoundRow(const float* x, int64_t width, StepsTogether together, uint8_t* numbers,
              float* scales);

// y[r][c] = sum over groups g ascending, one fused chain from zero, of
//   float(sum over k in g of x.numbers[r][k] * numbers[c][k]) * (scale[c][g] * x.scales[r][g])
// where whole numbers are exact. The epilogue is that of MatMul. Thread-safe for disjoint outputs;
// no argument is checked: `weights` is quantized, x has its groups and is rounded for as many steps
// together, and these are two or FastestStepsTogether().
void MatMulInt8(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y);

}  // namespace floe::inference
