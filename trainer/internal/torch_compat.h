// All of LibTorch that the trainer includes, and the only place that knows its version. Debian 12
// has 1.13; newer ones (CMAKE_PREFIX_PATH) must work as well. Precompiled: see CMakeLists.txt.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

namespace floe::trainer {

// softmax(q k^T / sqrt(head_dim)) v of heads [B, H, T, head_dim]: over the keys that `seen`
// [B, 1, T, T] allows, or up to its own where that is undefined.
inline at::Tensor CausalSoftmaxProduct(const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const at::Tensor& seen) {
#if TORCH_VERSION_MAJOR >= 2
  return at::scaled_dot_product_attention(
      q, k, v, seen.defined() ? std::optional<at::Tensor>(seen) : std::nullopt,
      /*dropout_p=*/0.0, /*is_causal=*/!seen.defined());
#else
  const at::Tensor visible =
      seen.defined() ? seen : at::ones({q.size(2), q.size(2)}, q.options().dtype(at::kBool)).tril();
  const at::Tensor scores =
      at::matmul(q, k.transpose(2, 3)).mul(1 / std::sqrt(static_cast<double>(q.size(3))));
  return at::matmul(
      at::softmax(
          scores.masked_fill(visible.logical_not(), -std::numeric_limits<float>::infinity()), -1),
      v);
#endif
}

}  // namespace floe::trainer
