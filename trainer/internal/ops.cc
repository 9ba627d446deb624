#include "trainer/internal/ops.h"

#include <algorithm>

#include "trainer/internal/aten_ops.h"
#include "trainer/internal/gemm.h"
#include "trainer/internal/route.h"
#include "trainer/internal/row_tasks.h"
#include "trainer/internal/tensor_data.h"

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

class RmsNormFunction : public Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gain,
                            double eps) {
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor y = at::empty_like(x), rstd = at::empty({rows});
    ForRows(rows, [&](int64_t begin, int64_t end) {
      kernels::RmsNorm(Data(x) + begin * width, Data(gain), static_cast<float>(eps), end - begin,
                       width, Data(y) + begin * width, Data(rstd) + begin);
    });
    context->save_for_backward({x, gain, rstd});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &gain = saved[1], &rstd = saved[2];
    const at::Tensor dy = grads[0].contiguous();
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor dx = at::empty_like(x), sums = ChunkSums(rows, width);
    ForChunks(rows, [&](int64_t begin, int64_t end, int64_t chunk) {
      const int64_t at = begin * width;
      kernels::RmsNormBackward(Data(dy) + at, Data(x) + at, Data(gain), Data(rstd) + begin,
                               end - begin, width, Data(dx) + at, Data(sums) + chunk * width);
    });
    return {dx, sums.sum(0), at::Tensor()};
  }
};

class SplitHeadsFunction : public Function<SplitHeadsFunction> {
 public:
  static kernels::HeadTurn TurnOf(const at::Tensor& q_gain, const at::Tensor& k_gain, double eps,
                                  const at::Tensor& cos, const at::Tensor& sin) {
    return {.q_gain = DataOrNull(q_gain),
            .k_gain = DataOrNull(k_gain),
            .eps = static_cast<float>(eps),
            .cos = DataOrNull(cos),
            .sin = DataOrNull(sin)};
  }
  static variable_list forward(AutogradContext* context, const at::Tensor& qkv,
                               const at::Tensor& q_gain, const at::Tensor& k_gain,
                               const at::Tensor& cos, const at::Tensor& sin, double eps,
                               std::vector<int64_t> dials) {
    const kernels::HeadLayout layout{dials[0], dials[1], dials[2], dials[3]};
    const int64_t rows = qkv.size(0), batch = rows / layout.sequence;
    const int64_t sequence = layout.sequence, width = layout.head_dim;
    at::Tensor q = at::empty({batch, layout.num_heads, sequence, width});
    at::Tensor k = at::empty({batch, layout.num_kv_heads, sequence, width});
    at::Tensor v = at::empty_like(k);
    at::Tensor rstd = at::empty({q_gain.numel() > 0 ? rows : 0, layout.normed_heads()});
    const kernels::HeadTurn turn = TurnOf(q_gain, k_gain, eps, cos, sin);
    ForRows(rows, [&](int64_t begin, int64_t end) {
      kernels::SplitHeads(Data(qkv), layout, turn, begin, end, Data(q), Data(k), Data(v),
                          Data(rstd));
    });
    context->save_for_backward({qkv, q_gain, k_gain, cos, sin, rstd});
    context->saved_data["eps"] = eps;
    context->saved_data["dials"] = std::move(dials);
    return {q, k, v};
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const bool normed = saved[1].numel() > 0;
    const auto dials = context->saved_data["dials"].toIntVector();
    const kernels::HeadLayout layout{dials[0], dials[1], dials[2], dials[3]};
    const kernels::HeadTurn turn =
        TurnOf(saved[1], saved[2], context->saved_data["eps"].toDouble(), saved[3], saved[4]);
    const at::Tensor dq = grads[0].contiguous(), dk = grads[1].contiguous(),
                     dv = grads[2].contiguous();
    at::Tensor drows = at::empty_like(qkv);
    at::Tensor q_sums = ChunkSums(qkv.size(0), layout.head_dim);
    at::Tensor k_sums = ChunkSums(qkv.size(0), layout.head_dim);
    ForChunks(qkv.size(0), [&](int64_t begin, int64_t end, int64_t chunk) {
      kernels::SplitHeadsBackward(Data(dq), Data(dk), Data(dv), Data(qkv), Data(saved[5]), layout,
                                  turn, begin, end, Data(drows),
                                  Data(q_sums) + chunk * layout.head_dim,
                                  Data(k_sums) + chunk * layout.head_dim);
    });
    const at::Tensor none;
    return {drows, normed ? q_sums.sum(0) : none, normed ? k_sums.sum(0) : none, none, none, none,
            none};
  }
};

class SwiGluFunction : public Function<SwiGluFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    const int64_t rows = gate_up.size(0), ffn = gate_up.size(1) / 2;
    at::Tensor out = at::empty({rows, ffn});
    ForRows(rows, [&](int64_t begin, int64_t end) {
      kernels::SwiGlu(Data(gate_up) + begin * 2 * ffn, end - begin, ffn, Data(out) + begin * ffn);
    });
    context->save_for_backward({gate_up});
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const at::Tensor gate_up = context->get_saved_variables()[0];
    const at::Tensor dout = grads[0].contiguous();
    const int64_t rows = gate_up.size(0), ffn = gate_up.size(1) / 2;
    at::Tensor drows = at::empty_like(gate_up);
    ForRows(rows, [&](int64_t begin, int64_t end) {
      kernels::SwiGluBackward(Data(dout) + begin * ffn, Data(gate_up) + begin * 2 * ffn,
                              end - begin, ffn, Data(drows) + begin * 2 * ffn);
    });
    return {drows};
  }
};

// Rows of logits held at once: about 8 MB, so that they stay in the cache between the product, the
// softmax and the two products of the gradient.
int64_t LogitRows(int64_t vocab_size) {
  return std::max<int64_t>(32, (int64_t{1} << 21) / vocab_size);
}

class LinearCrossEntropyFunction : public Function<LinearCrossEntropyFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& targets, double scale,
                            bool learn) {
    if (!ByKernels(hidden)) {
      auto computed = aten::LinearCrossEntropy(hidden, weight, targets, scale, learn);
      if (learn) context->save_for_backward({computed.dhidden, computed.dweight});
      return computed.loss;
    }
    const int64_t rows = hidden.size(0), width = hidden.size(1), vocab = weight.size(0);
    const int64_t chunk = std::min(rows, LogitRows(vocab));
    at::Tensor logits = at::empty({chunk, vocab}), losses = at::zeros({rows}, at::kDouble);
    at::Tensor dhidden = learn ? at::empty_like(hidden) : at::Tensor();
    at::Tensor dweight = learn ? at::empty_like(weight) : at::Tensor();
    const int64_t* target = targets.data_ptr<int64_t>();
    double* loss = losses.data_ptr<double>();
    float* scores = Data(logits);
    for (int64_t first = 0; first < rows; first += chunk) {
      const int64_t count = std::min(chunk, rows - first);
      const float* x = Data(hidden) + first * width;
      Gemm(count, vocab, width, {x, width}, {Data(weight), width, true}, {}, scores, vocab);
      at::parallel_for(0, count, 4, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          float* row = scores + r * vocab;
          const int64_t wanted = target[first + r];
          if (wanted < 0) {
            std::fill_n(row, vocab, 0.0f);
          } else {
            loss[first + r] = kernels::CrossEntropyRow(row, vocab, wanted,
                                                       learn ? static_cast<float>(scale) : 0.0f);
          }
        }
      });
      if (!learn) continue;
      Gemm(count, width, vocab, {scores, vocab}, {Data(weight), width}, {},
           Data(dhidden) + first * width, width);
      Gemm(vocab, width, count, {scores, vocab, true}, {x, width},
           {.matrix = first == 0 ? nullptr : Data(dweight)}, Data(dweight), width);
    }
    if (learn) context->save_for_backward({dhidden, dweight});
    return (losses.sum() * scale).to(at::kFloat);
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor none;
    if (grads[0].item<float>() == 1.0f) return {saved[0], saved[1], none, none, none};
    return {saved[0] * grads[0], saved[1] * grads[0], none, none, none};
  }
};

class LinearLogProbabilitiesFunction : public Function<LinearLogProbabilitiesFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& targets) {
    at::Tensor result = at::zeros({hidden.size(0)});
    ForLogits(hidden, weight, [&](float* logits, int64_t vocab, int64_t row) {
      const int64_t wanted = targets.data_ptr<int64_t>()[row];
      if (wanted < 0) return;
      Data(result)[row] = -kernels::CrossEntropyRow(logits, vocab, wanted, 0);
    });
    context->save_for_backward({hidden, weight, targets});
    return result;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &weight = saved[1], &targets = saved[2];
    const at::Tensor grad = grads[0].contiguous();
    const int64_t width = hidden.size(1), vocab = weight.size(0);
    at::Tensor dhidden = at::empty_like(hidden), dweight = at::empty_like(weight);
    const auto to_gradient = [&](float* logits, int64_t, int64_t row) {
      const int64_t wanted = targets.data_ptr<int64_t>()[row];
      const float scale = -Data(grad)[row];  // of the loss, which is the negative
      if (wanted < 0 || scale == 0) {
        std::fill_n(logits, vocab, 0.0f);
      } else {
        kernels::CrossEntropyRow(logits, vocab, wanted, scale);
      }
    };
    ForLogits(hidden, weight, to_gradient, [&](float* scores, int64_t first, int64_t count) {
      Gemm(count, width, vocab, {scores, vocab}, {Data(weight), width}, {},
           Data(dhidden) + first * width, width);
      Gemm(vocab, width, count, {scores, vocab, true}, {Data(hidden) + first * width, width},
           {.matrix = first == 0 ? nullptr : Data(dweight)}, Data(dweight), width);
    });
    return {dhidden, dweight, at::Tensor()};
  }

 private:
  // of_row(logits, V, row) for each row, over the threads; then of_chunk(logits, first, count).
  template <class OfRow, class OfChunk>
  static void ForLogits(const at::Tensor& hidden, const at::Tensor& weight, const OfRow& of_row,
                        const OfChunk& of_chunk) {
    const int64_t rows = hidden.size(0), width = hidden.size(1), vocab = weight.size(0);
    const int64_t chunk = std::min(rows, LogitRows(vocab));
    at::Tensor logits = at::empty({chunk, vocab});
    float* scores = Data(logits);
    for (int64_t first = 0; first < rows; first += chunk) {
      const int64_t count = std::min(chunk, rows - first);
      Gemm(count, vocab, width, {Data(hidden) + first * width, width}, {Data(weight), width, true},
           {}, scores, vocab);
      at::parallel_for(0, count, 4, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) of_row(scores + r * vocab, vocab, first + r);
      });
      of_chunk(scores, first, count);
    }
  }
  template <class OfRow>
  static void ForLogits(const at::Tensor& hidden, const at::Tensor& weight, const OfRow& of_row) {
    ForLogits(hidden, weight, of_row, [](float*, int64_t, int64_t) {});
  }
};

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
  if (!ByKernels(x)) return aten::RmsNorm(x, gain, eps);
  return RmsNormFunction::apply(x, gain, eps);
}

Heads SplitHeads(const at::Tensor& qkv, const kernels::HeadLayout& layout,
                 const HeadParameters& parameters) {
  if (!ByKernels(qkv)) return aten::SplitHeads(qkv, layout, parameters);
  const variable_list heads =
      SplitHeadsFunction::apply(qkv, OrEmpty(parameters.q_gain), OrEmpty(parameters.k_gain),
                                OrEmpty(parameters.cos), OrEmpty(parameters.sin), parameters.eps,
                                std::vector<int64_t>{layout.num_heads, layout.num_kv_heads,
                                                     layout.head_dim, layout.sequence});
  return {heads[0], heads[1], heads[2]};
}

at::Tensor SwiGlu(const at::Tensor& gate_up) {
  return ByKernels(gate_up) ? SwiGluFunction::apply(gate_up) : aten::SwiGlu(gate_up);
}

at::Tensor LinearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                              const at::Tensor& targets, double scale) {
  // Inside forward, autograd is off and cannot be asked.
  const bool learn =
      at::GradMode::is_enabled() && (hidden.requires_grad() || weight.requires_grad());
  return LinearCrossEntropyFunction::apply(hidden, weight, targets, scale, learn);
}

at::Tensor LinearLogProbabilities(const at::Tensor& hidden, const at::Tensor& weight,
                                  const at::Tensor& targets) {
  TORCH_CHECK(hidden.is_cpu(), "preferences are learnt on the CPU alone");
  return LinearLogProbabilitiesFunction::apply(hidden, weight, targets);
}

}  // namespace floe::trainer
