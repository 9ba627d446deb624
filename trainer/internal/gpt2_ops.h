// GPT-2's operations joined to autograd; float32, contiguous. The kernels behind them stand in
// gpt2_kernels.h.
#pragma once

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// x [N, D], gain and shift [D] -> [N, D].
at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& shift,
                     double eps);

// GELU by its tanh approximation, element by element.
at::Tensor Gelu(const at::Tensor& x);

}  // namespace floe::trainer
