// GPT-2's small operations beside those of kernels.h, each as one pass over memory, forward beside
// backward. Plain float arrays, row-major. Pure and thread-safe; results depend on the instruction
// set and never on how rows were spread. Backward kernels of parameters add to what is there.
#pragma once

#include <cstdint>

namespace floe::trainer::kernels {

// y = (x - mean) * rstd * gain + shift over rows of `width`, rstd = 1 / sqrt(variance + eps)
// (arXiv:1607.06450). `moments` is [rows, 2]: mean and rstd.
void LayerNorm(const float* x, const float* gain, const float* shift, float eps, int64_t rows,
               int64_t width, float* y, float* moments);
void LayerNormBackward(const float* dy, const float* x, const float* gain, const float* moments,
                       int64_t rows, int64_t width, float* dx, float* dgain, float* dshift);

// y = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (arXiv:1606.08415, the approximation that
// GPT-2 uses).
void Gelu(const float* x, int64_t count, float* y);
void GeluBackward(const float* dy, const float* x, int64_t count, float* dx);

}  // namespace floe::trainer::kernels
