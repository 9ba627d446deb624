// The engine's arithmetic, compiled for every instruction set that Highway knows here and chosen at
// run time.
//
// One rule holds for each function: an output depends only on its own inputs, through a summation
// order that is fixed by the shapes of the model. Not by how many rows share the call, not by which
// panel range or thread computed it. That is what makes the engine batch-invariant.
//
// Pure functions over borrowed memory; thread-safe for disjoint outputs. No argument is checked.
#pragma once

#include <cstdint>

#include "inference/engine/packed_matrix.h"

namespace floe::inference {

inline constexpr int64_t kKvBlockTokens = 16;

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
void MatMul(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
            const MatMulEpilogue& epilogue, const Rows& y);

// y = x / sqrt(mean(x^2) + eps) * gain, width floats. y may be x.
void RmsNorm(const float* x, const float* gain, float eps, int64_t width, float* y);

struct LayerNormParameters {
  const float* gain = nullptr;
  const float* shift = nullptr;
  float eps = 0;
};
// y = (x - mean(x)) / sqrt(variance(x) + eps) * gain + shift, width floats; the variance is the
// mean square around the mean. y may be x. Ba et al. 2016, arXiv:1607.06450.
void LayerNorm(const float* x, const LayerNormParameters& parameters, int64_t width, float* y);

// y = silu(gate) * up, width rounded up to 16 (all three padded). y may be gate.
void SwiGlu(const float* gate, const float* up, int64_t width, float* y);

// y = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), width rounded up to 16 (both padded). y
// may be x. Hendrycks and Gimpel 2016, arXiv:1606.08415.
void GeluTanh(const float* x, int64_t width, float* y);

// Where one sequence's keys and values of one layer and key/value head lie. A block holds 16
// tokens: keys as [head_dim][16], values as [16][RoundUp16(head_dim)].
struct KvHeadView {
  const float* pool = nullptr;
  const int32_t* blocks = nullptr;  // block numbers of the sequence, in order of position
  int64_t block_stride = 0;         // floats from one block to the next
  int64_t keys = 0;                 // offset of this head's keys inside a block
  int64_t values = 0;               // offset of this head's values inside a block
};

// out = sum over t < positions of softmax(scale * q.k_t)_t * v_t for one query head; scores are a
// scratch of RoundUp16(positions) floats, 64-byte aligned. out has head_dim floats.
struct AttentionShape {
  int64_t positions = 0;
  int64_t head_dim = 0;
  float scale = 1;
};
void Attend(const float* query, const KvHeadView& kv, const AttentionShape& shape, float* scores,
            float* out);

// The instruction set in use, as Highway names it ("AVX2").
const char* KernelTarget();

}  // namespace floe::inference
