// A linear layer under autograd, by the product of gemm.h.
#pragma once

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// Borrowed parameters.
struct LinearLayer {
  const at::Tensor& weight;  // [out, in], or [in, out] where turned
  at::Tensor bias;           // [out]; may be undefined
  bool turned = false;       // as GPT-2 stores it
};

// x [N, in] -> x W^T + bias [N, out], in F32. Gradients for x, weight and bias.
at::Tensor ApplyLinear(const at::Tensor& x, const LinearLayer& layer);

// base [N, out] + x W^T + bias, in one pass over the result; a gradient for base too.
at::Tensor AddLinear(const at::Tensor& base, const at::Tensor& x, const LinearLayer& layer);

}  // namespace floe::trainer
