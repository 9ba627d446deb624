// The operations of ops.h, gpt2_ops.h, linear.h and the optimizer by LibTorch's operators: for
// devices on which the trainer has no kernels (route.h). Shapes and meaning are those of the
// functions of the same names, which choose; all tensors of a call lie on one device.
//
// Thread-safe as far as autograd is. Errors leave as c10 exceptions.
#pragma once

#include <vector>

#include "trainer/internal/linear.h"
#include "trainer/internal/ops.h"

namespace floe::trainer::aten {

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps);
at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& shift,
                     double eps);
at::Tensor Gelu(const at::Tensor& x);
at::Tensor SwiGlu(const at::Tensor& gate_up);

Heads SplitHeads(const at::Tensor& qkv, const kernels::HeadLayout& layout,
                 const HeadParameters& parameters);
// With LibTorch 2 and newer its fused attention, whose memory is linear in T where the device has
// the kernel for it; with 1.13 all scores at once.
at::Tensor CausalAttention(const Heads& heads, const at::Tensor& starts);

// Without a base: undefined.
at::Tensor Linear(const at::Tensor& base, const at::Tensor& x, const LinearLayer& layer);

// The loss of LinearCrossEntropy with its gradients, undefined unless they are to be learnt from.
// Called with autograd off; targets may lie on the CPU.
struct LossAndGradients {
  at::Tensor loss;
  at::Tensor dhidden;
  at::Tensor dweight;
};
LossAndGradients LinearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                    const at::Tensor& targets, double scale, bool learn);

// In place on value, m and v.
void AdamW(const kernels::AdamWStep& step, const at::Tensor& grad, at::Tensor value, at::Tensor m,
           at::Tensor v);

// The norm of all of them together; waits for the device. At least one.
double Norm(const std::vector<at::Tensor>& tensors);

}  // namespace floe::trainer::aten
