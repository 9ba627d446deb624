// The product of activations and frozen weights in floats, by the instruction set that kernels.h
// speaks of and under its rule: an output depends on its own row of x and column of W alone.
#pragma once

#include <cstdint>

#include "inference/engine/packed_matrix.h"

namespace floe::inference {

// Rows of activations: `data` is [count][stride], of which the kernel's width is used.
struct ConstRows {
  const float* data = nullptr;
  int64_t count = 0;
  int64_t stride = 0;
};
struct Rows {
  float* data = nullptr;
  int64_t stride = 0;  // a multiple of 16, at least the output width rounded up to 16
};

struct PanelRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// y[r][c] = sum over k ascending of x[r][k] * W[c][k], one fused chain from zero (mul then add
// where the machine has no FMA); then `bias[c]` is added where given (padded to whole panels), and
// with `accumulate` the sum is added to what y holds.
struct MatMulEpilogue {
  const float* bias = nullptr;
  bool accumulate = false;
};
// Thread-safe for disjoint outputs. No argument is checked: `weights` is of floats.
void MatMul(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
            const MatMulEpilogue& epilogue, const Rows& y);

}  // namespace floe::inference
