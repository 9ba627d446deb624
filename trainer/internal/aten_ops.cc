#include "trainer/internal/aten_ops.h"

#include <algorithm>
#include <cmath>

namespace floe::trainer::aten {
namespace {

constexpr int64_t kLogits = int64_t{1} << 24;  // held at once, 64 MB
constexpr int64_t kLeastRows = 256;            // whatever the vocabulary: a device wants large work

// [B, T, heads, head_dim] -> normed and turned [B, heads, T, head_dim].
at::Tensor Turned(const at::Tensor& x, const at::Tensor& gain, const HeadParameters& parameters) {
  const at::Tensor y = gain.defined() ? RmsNorm(x, gain, parameters.eps) : x;
  if (!parameters.cos.defined()) return y.transpose(1, 2);
  const auto angles = [&](const at::Tensor& of) {
    return of.narrow(0, 0, x.size(1)).unsqueeze(1);  // [T, 1, head_dim / 2]
  };
  const at::Tensor cos = angles(parameters.cos), sin = angles(parameters.sin);
  const std::vector<at::Tensor> halves = y.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1)
      .transpose(1, 2);
}

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
  return x * (x.square().mean(-1, /*keepdim=*/true) + eps).rsqrt() * gain;
}

at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& shift,
                     double eps) {
  return at::layer_norm(x, {x.size(1)}, gain, shift, eps);
}

at::Tensor Gelu(const at::Tensor& x) { return at::gelu(x, "tanh"); }

at::Tensor SwiGlu(const at::Tensor& gate_up) {
  const std::vector<at::Tensor> halves = gate_up.chunk(2, 1);
  return at::silu(halves[0]) * halves[1];
}

Heads SplitHeads(const at::Tensor& qkv, const kernels::HeadLayout& layout,
                 const HeadParameters& parameters) {
  const int64_t q = layout.num_heads, kv = layout.num_kv_heads;
  const at::Tensor heads = qkv.view({-1, layout.sequence, q + 2 * kv, layout.head_dim});
  return {Turned(heads.narrow(2, 0, q), parameters.q_gain, parameters),
          Turned(heads.narrow(2, q, kv), parameters.k_gain, parameters),
          heads.narrow(2, q + kv, kv).transpose(1, 2)};
}

at::Tensor CausalAttention(const Heads& heads, const at::Tensor& starts) {
  const int64_t batch = heads.q.size(0), num_heads = heads.q.size(1);
  const int64_t sequence = heads.q.size(2), head_dim = heads.q.size(3);
  const int64_t num_kv_heads = heads.k.size(1), group = num_heads / num_kv_heads;
  const auto for_each_query_head = [&](const at::Tensor& shared) {
    return shared.unsqueeze(2)
        .expand({batch, num_kv_heads, group, sequence, head_dim})
        .reshape({batch, num_heads, sequence, head_dim});
  };
  at::Tensor seen;  // [B, 1, queries, keys]
  if (starts.defined()) {
    const at::Tensor position = at::arange(sequence, starts.options());
    seen = at::logical_and(position >= starts.unsqueeze(-1), position <= position.unsqueeze(-1))
               .unsqueeze(1);
  }
  return CausalSoftmaxProduct(heads.q, for_each_query_head(heads.k), for_each_query_head(heads.v),
                              seen)
      .transpose(1, 2)
      .reshape({batch * sequence, num_heads * head_dim});
}

at::Tensor Linear(const at::Tensor& base, const at::Tensor& x, const LinearLayer& layer) {
  const at::Tensor weight = layer.turned ? layer.weight : layer.weight.t();
  const at::Tensor y = layer.bias.defined() ? at::addmm(layer.bias, x, weight) : at::mm(x, weight);
  return base.defined() ? base + y : y;
}

LossAndGradients LinearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                    const at::Tensor& targets, double scale, bool learn) {
  const int64_t rows = hidden.size(0), chunk = std::max(kLeastRows, kLogits / weight.size(0));
  const at::Tensor wanted = targets.to(hidden.device());
  const at::Tensor counts = wanted.ge(0).to(at::kFloat).unsqueeze(1);  // [N, 1]: 1 or 0
  const at::Tensor index = wanted.clamp_min(0).unsqueeze(1);
  at::Tensor loss = at::zeros({}, hidden.options().dtype(at::kDouble));
  LossAndGradients result;
  if (learn) {
    result.dhidden = at::empty_like(hidden);
    result.dweight = at::zeros_like(weight);
  }
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    const auto part = [&](const at::Tensor& of) { return of.narrow(0, first, count); };
    at::Tensor scores = at::log_softmax(at::mm(part(hidden), weight.t()), -1);
    loss.sub_((scores.gather(1, part(index)) * part(counts)).sum(at::kDouble));
    if (!learn) continue;
    // In place: the gradient of each row's scores.
    scores.exp_().scatter_add_(1, part(index), at::full({count, 1}, -1.0, hidden.options()));
    scores.mul_(part(counts) * scale);
    part(result.dhidden).copy_(at::mm(scores, weight));
    result.dweight.addmm_(scores.t(), part(hidden));
  }
  result.loss = (loss * scale).to(at::kFloat);
  return result;
}

void AdamW(const kernels::AdamWStep& step, const at::Tensor& grad, at::Tensor value, at::Tensor m,
           at::Tensor v) {
  const at::NoGradGuard no_grad;
  const at::Tensor g = grad * step.grad_scale;
  m.mul_(step.beta1).add_(g, 1 - step.beta1);
  v.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  value.mul_(1 - step.learning_rate * step.weight_decay)
      .addcdiv_(m, v.sqrt().div_(std::sqrt(step.correction2)).add_(step.eps),
                -step.learning_rate / step.correction1);
}

double Norm(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> norms;
  norms.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) norms.push_back(at::norm(tensor, 2, at::kDouble));
  return at::stack(norms).norm().item<double>();
}

}  // namespace floe::trainer::aten
