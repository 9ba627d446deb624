// The transformer's operations as differentiable functions on tensors: the kernels of kernels.h and
// BLAS, joined to LibTorch's autograd; on other devices than the CPU LibTorch's own operators
// (route.h). All tensors are float32 and contiguous; N = B * T tokens.
//
// Thread-safe as far as autograd is. Errors leave as c10 exceptions, to be caught by who calls into
// this folder.
#pragma once

#include "trainer/internal/kernels.h"
#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// x [N, D], gain [D] -> [N, D].
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps);

// Undefined gains: no QK-norm. cos, sin [T, head_dim / 2]; undefined: no RoPE.
struct HeadParameters {
  at::Tensor q_gain;
  at::Tensor k_gain;
  double eps = 0;
  at::Tensor cos;
  at::Tensor sin;
};
struct Heads {
  at::Tensor q;  // [B, H, T, head_dim]
  at::Tensor k;  // [B, KV, T, head_dim]
  at::Tensor v;
};
// qkv [N, (H + 2 KV) * head_dim] -> normed and turned heads.
Heads SplitHeads(const at::Tensor& qkv, const kernels::HeadLayout& layout,
                 const HeadParameters& parameters);

// softmax(q k^T / sqrt(head_dim)) v with the causal mask; key/value heads are shared by groups of
// query heads. Returns [N, H * head_dim]. Memory is linear in T: scores are computed by blocks of
// queries and again in the backward pass (the idea of arXiv:2205.14135); what the mask hides is not
// computed, but for the corner of each block. With `starts` [B, T] int64 a query sees the keys from
// its start on; starts of a sequence never fall.
at::Tensor CausalAttention(const Heads& heads, const at::Tensor& starts = {});

// ids [B, T] -> where the document of each token starts [B, T]: behind the last `separator` before
// it, which ends the document it stands in.
at::Tensor DocumentStarts(const at::Tensor& ids, int64_t separator);

// gate_up [N, 2 F] -> [N, F] = silu(gate) * up.
at::Tensor SwiGlu(const at::Tensor& gate_up);

// scale * (sum over tokens of -log softmax(hidden weight^T)[target]); targets [N] int64, negative
// ones count nothing. Logits exist a chunk of rows at a time, and their gradient is made in the
// forward pass.
at::Tensor LinearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                              const at::Tensor& targets, double scale);

// log softmax(hidden weight^T)[target] of each token [N], 0 where the target is negative. Logits
// exist a chunk of rows at a time, and once more in the backward pass: for losses whose gradient by
// a token is known only when all tokens are.
at::Tensor LinearLogProbabilities(const at::Tensor& hidden, const at::Tensor& weight,
                                  const at::Tensor& targets);

}  // namespace floe::trainer
