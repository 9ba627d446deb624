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

namespace floe::inference {

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

// The instruction set in use, as Highway names it ("AVX2").
const char* KernelTarget();

}  // namespace floe::inference
