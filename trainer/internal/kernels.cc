#include "trainer/internal/kernels.h"

#include <algorithm>
#include <cmath>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/internal/kernels.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Need the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

#include "trainer/internal/vector_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

float DotImpl(const float* a, const float* b, int64_t width) {
  return Sum(width,
             [&](auto d, int64_t i) { return hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i)); });
}

HWY_INLINE float NormRow(const float* x, const float* gain, float eps, int64_t width, float* y) {
  const float mean = DotImpl(x, x, width) / static_cast<float>(width);
  const float rstd = 1.0f / std::sqrt(mean + eps);
  ForEach(width, [&](auto d, int64_t i) {
    const auto scaled = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, rstd));
    hn::StoreU(hn::Mul(scaled, hn::LoadU(d, gain + i)), d, y + i);
  });
  return rstd;
}

// dx = rstd * (dy * gain - xhat * mean(dy * gain * xhat)), dgain += dy * xhat, xhat = x * rstd.
HWY_INLINE void NormRowBackward(const float* dy, const float* x, const float* gain, float rstd,
                                int64_t width, float* dx, float* dgain) {
  const float mean = Sum(width,
                         [&](auto d, int64_t i) {
                           return hn::Mul(hn::Mul(hn::LoadU(d, dy + i), hn::LoadU(d, gain + i)),
                                          hn::LoadU(d, x + i));
                         }) *
                     rstd / static_cast<float>(width);
  ForEach(width, [&](auto d, int64_t i) {
    const auto grad = hn::LoadU(d, dy + i);
    const auto xhat = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, rstd));
    hn::StoreU(hn::MulAdd(grad, xhat, hn::LoadU(d, dgain + i)), d, dgain + i);
    const auto inner = hn::NegMulAdd(xhat, hn::Set(d, mean), hn::Mul(grad, hn::LoadU(d, gain + i)));
    hn::StoreU(hn::Mul(inner, hn::Set(d, rstd)), d, dx + i);
  });
}

void RmsNormImpl(const float* x, const float* gain, float eps, int64_t rows, int64_t width,
                 float* y, float* rstd) {
  for (int64_t r = 0; r < rows; ++r) {
    rstd[r] = NormRow(x + r * width, gain, eps, width, y + r * width);
  }
}

void RmsNormBackwardImpl(const float* dy, const float* x, const float* gain, const float* rstd,
                         int64_t rows, int64_t width, float* dx, float* dgain) {
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = r * width;
    NormRowBackward(dy + at, x + at, gain, rstd[r], width, dx + at, dgain);
  }
}

// (a, b) -> (a cos - b sin, b cos + a sin); `direction` -1 turns back.
HWY_INLINE void Turn(const float* from, const float* cos, const float* sin, float direction,
                     int64_t half, float* to) {
  ForEach(half, [&](auto d, int64_t i) {
    const auto a = hn::LoadU(d, from + i), b = hn::LoadU(d, from + half + i);
    const auto c = hn::LoadU(d, cos + i);
    const auto s = hn::Mul(hn::LoadU(d, sin + i), hn::Set(d, direction));
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, to + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, to + half + i);
  });
}

// Where head `head` of the row of token `n` goes: [B, heads, T, head_dim].
HWY_INLINE int64_t HeadAt(const HeadLayout& layout, int64_t heads, int64_t n, int64_t head) {
  const int64_t b = n / layout.sequence, t = n % layout.sequence;
  return ((b * heads + head) * layout.sequence + t) * layout.head_dim;
}

void SplitHeadsImpl(const float* rows, const HeadLayout& layout, const HeadTurn& turn,
                    int64_t begin, int64_t end, float* q, float* k, float* v, float* rstd) {
  const int64_t width = layout.head_dim, half = width / 2;
  for (int64_t n = begin; n < end; ++n) {
    const float* row = rows + n * layout.row_width();
    const int64_t angles = n % layout.sequence * half;
    for (int64_t h = 0; h < layout.normed_heads(); ++h, row += width) {
      const bool query = h < layout.num_heads;
      float* to = query ? q + HeadAt(layout, layout.num_heads, n, h)
                        : k + HeadAt(layout, layout.num_kv_heads, n, h - layout.num_heads);
      const float* from = row;
      if (const float* gain = query ? turn.q_gain : turn.k_gain) {
        rstd[n * layout.normed_heads() + h] = NormRow(row, gain, turn.eps, width, to);
        from = to;
      }
      if (turn.cos != nullptr) {
        Turn(from, turn.cos + angles, turn.sin + angles, 1.0f, half, to);
      } else if (from != to) {
        std::copy_n(from, width, to);
      }
    }
    for (int64_t h = 0; h < layout.num_kv_heads; ++h, row += width) {
      std::copy_n(row, width, v + HeadAt(layout, layout.num_kv_heads, n, h));
    }
  }
}

void SplitHeadsBackwardImpl(const float* dq, const float* dk, const float* dv, const float* rows,
                            const float* rstd, const HeadLayout& layout, const HeadTurn& turn,
                            int64_t begin, int64_t end, float* drows, float* dq_gain,
                            float* dk_gain) {
  const int64_t width = layout.head_dim, half = width / 2;
  for (int64_t n = begin; n < end; ++n) {
    const float* row = rows + n * layout.row_width();
    float* drow = drows + n * layout.row_width();
    const int64_t angles = n % layout.sequence * half;
    for (int64_t h = 0; h < layout.normed_heads(); ++h, row += width, drow += width) {
      const bool query = h < layout.num_heads;
      const float* from = query ? dq + HeadAt(layout, layout.num_heads, n, h)
                                : dk + HeadAt(layout, layout.num_kv_heads, n, h - layout.num_heads);
      if (turn.cos != nullptr) {
        Turn(from, turn.cos + angles, turn.sin + angles, -1.0f, half, drow);
      } else {
        std::copy_n(from, width, drow);
      }
      if (const float* gain = query ? turn.q_gain : turn.k_gain) {
        NormRowBackward(drow, row, gain, rstd[n * layout.normed_heads() + h], width, drow,
                        query ? dq_gain : dk_gain);
      }
    }
    for (int64_t h = 0; h < layout.num_kv_heads; ++h, drow += width) {
      std::copy_n(dv + HeadAt(layout, layout.num_kv_heads, n, h), width, drow);
    }
  }
}

HWY_INLINE float MaxOf(const float* x, int64_t count) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float most = x[0];
  int64_t i = 0;
  if (count >= lanes) {
    V high = hn::LoadU(d, x);
    for (; i + lanes <= count; i += lanes) high = hn::Max(high, hn::LoadU(d, x + i));
    most = hn::GetLane(hn::MaxOfLanes(d, high));
  }
  for (; i < count; ++i) most = std::max(most, x[i]);
  return most;
}

// x = exp(scale * x - shift) in place; returns the sum.
HWY_INLINE float ExpAndSum(float* x, int64_t count, float scale, float shift) {
  return Sum(count, [&](auto d, int64_t i) {
    const auto e =
        hn::Exp(d, hn::MulSub(hn::LoadU(d, x + i), hn::Set(d, scale), hn::Set(d, shift)));
    hn::StoreU(e, d, x + i);
    return e;
  });
}

HWY_INLINE void Scale(float* x, int64_t count, float factor) {
  ForEach(count, [&](auto d, int64_t i) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
  });
}

float CausalSoftmaxRowImpl(float* s, int64_t count, int64_t width, float scale) {
  const float shift = MaxOf(s, count) * scale;
  const float sum = ExpAndSum(s, count, scale, shift);
  Scale(s, count, 1.0f / sum);
  std::fill(s + count, s + width, 0.0f);
  return shift + std::log(sum);
}

void CausalSoftmaxAgainImpl(float* s, int64_t count, int64_t width, float scale, float log_sum) {
  ExpAndSum(s, count, scale, log_sum);
  std::fill(s + count, s + width, 0.0f);
}

void CausalSoftmaxBackwardImpl(const float* p, float* dp, float dot, int64_t count, int64_t width,
                               float scale) {
  ForEach(count, [&](auto d, int64_t i) {
    const auto centred = hn::Sub(hn::LoadU(d, dp + i), hn::Set(d, dot));
    const auto scaled = hn::Mul(hn::LoadU(d, p + i), hn::Set(d, scale));
    hn::StoreU(hn::Mul(centred, scaled), d, dp + i);
  });
  std::fill(dp + count, dp + width, 0.0f);
}

template <class Tag, class Vector>
HWY_INLINE Vector Sigmoid(Tag d, Vector x) {
  const auto one = hn::Set(d, 1.0f);
  const auto bounded = hn::Min(hn::Neg(x), hn::Set(d, 88.0f));  // beyond it, Exp overflows
  return hn::Div(one, hn::Add(one, hn::Exp(d, bounded)));
}

void SwiGluImpl(const float* rows, int64_t count, int64_t ffn_hidden, float* out) {
  for (int64_t n = 0; n < count; ++n) {
    const float* gate = rows + n * 2 * ffn_hidden;
    ForEach(ffn_hidden, [&](auto d, int64_t i) {
      const auto g = hn::LoadU(d, gate + i), u = hn::LoadU(d, gate + ffn_hidden + i);
      hn::StoreU(hn::Mul(hn::Mul(g, Sigmoid(d, g)), u), d, out + n * ffn_hidden + i);
    });
  }
}

// silu'(g) = sigmoid(g) * (1 + g * (1 - sigmoid(g))).
void SwiGluBackwardImpl(const float* dout, const float* rows, int64_t count, int64_t ffn_hidden,
                        float* drows) {
  for (int64_t n = 0; n < count; ++n) {
    const float* gate = rows + n * 2 * ffn_hidden;
    float* dgate = drows + n * 2 * ffn_hidden;
    ForEach(ffn_hidden, [&](auto d, int64_t i) {
      const auto one = hn::Set(d, 1.0f);
      const auto g = hn::LoadU(d, gate + i), u = hn::LoadU(d, gate + ffn_hidden + i);
      const auto grad = hn::LoadU(d, dout + n * ffn_hidden + i);
      const auto s = Sigmoid(d, g);
      const auto silu = hn::Mul(g, s);
      const auto slope = hn::MulAdd(silu, hn::Sub(one, s), s);
      hn::StoreU(hn::Mul(hn::Mul(grad, u), slope), d, dgate + i);
      hn::StoreU(hn::Mul(grad, silu), d, dgate + ffn_hidden + i);
    });
  }
}

float CrossEntropyRowImpl(float* logits, int64_t vocab_size, int64_t target, float scale) {
  const float most = MaxOf(logits, vocab_size);
  const float of_target = logits[target] - most;
  const float sum = ExpAndSum(logits, vocab_size, 1.0f, most);
  if (scale != 0) {
    Scale(logits, vocab_size, scale / sum);
    logits[target] -= scale;
  }
  return std::log(sum) - of_target;
}

void AdamWImpl(const AdamWStep& step, const float* grad, int64_t count, float* parameter, float* m,
               float* v) {
  const float keep = 1.0f - step.learning_rate * step.weight_decay;
  const float rate = step.learning_rate / step.correction1;
  const float root = 1.0f / std::sqrt(step.correction2);
  ForEach(count, [&](auto d, int64_t i) {
    const auto g = hn::Mul(hn::LoadU(d, grad + i), hn::Set(d, step.grad_scale));
    const auto m_new = hn::MulAdd(hn::LoadU(d, m + i), hn::Set(d, step.beta1),
                                  hn::Mul(g, hn::Set(d, 1.0f - step.beta1)));
    const auto v_new = hn::MulAdd(hn::LoadU(d, v + i), hn::Set(d, step.beta2),
                                  hn::Mul(hn::Mul(g, g), hn::Set(d, 1.0f - step.beta2)));
    const auto scale = hn::MulAdd(hn::Sqrt(v_new), hn::Set(d, root), hn::Set(d, step.eps));
    const auto change = hn::Div(hn::Mul(m_new, hn::Set(d, rate)), scale);
    const auto old = hn::Mul(hn::LoadU(d, parameter + i), hn::Set(d, keep));
    hn::StoreU(m_new, d, m + i);
    hn::StoreU(v_new, d, v + i);
    hn::StoreU(hn::Sub(old, change), d, parameter + i);
  });
}

}  // namespace floe::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::trainer::kernels {

HWY_EXPORT(RmsNormImpl);
HWY_EXPORT(RmsNormBackwardImpl);
HWY_EXPORT(SplitHeadsImpl);
HWY_EXPORT(SplitHeadsBackwardImpl);
HWY_EXPORT(CausalSoftmaxRowImpl);
HWY_EXPORT(CausalSoftmaxAgainImpl);
HWY_EXPORT(CausalSoftmaxBackwardImpl);
HWY_EXPORT(DotImpl);
HWY_EXPORT(SwiGluImpl);
HWY_EXPORT(SwiGluBackwardImpl);
HWY_EXPORT(CrossEntropyRowImpl);
HWY_EXPORT(AdamWImpl);

void RmsNorm(const float* x, const float* gain, float eps, int64_t rows, int64_t width, float* y,
             float* rstd) {
  HWY_DYNAMIC_DISPATCH(RmsNormImpl)(x, gain, eps, rows, width, y, rstd);
}
void RmsNormBackward(const float* dy, const float* x, const float* gain, const float* rstd,
                     int64_t rows, int64_t width, float* dx, float* dgain) {
  HWY_DYNAMIC_DISPATCH(RmsNormBackwardImpl)(dy, x, gain, rstd, rows, width, dx, dgain);
}
void SplitHeads(const float* rows, const HeadLayout& layout, const HeadTurn& turn, int64_t begin,
                int64_t end, float* q, float* k, float* v, float* rstd) {
  HWY_DYNAMIC_DISPATCH(SplitHeadsImpl)(rows, layout, turn, begin, end, q, k, v, rstd);
}
void SplitHeadsBackward(const float* dq, const float* dk, const float* dv, const float* rows,
                        const float* rstd, const HeadLayout& layout, const HeadTurn& turn,
                        int64_t begin, int64_t end, float* drows, float* dq_gain, float* dk_gain) {
  HWY_DYNAMIC_DISPATCH(SplitHeadsBackwardImpl)
  (dq, dk, dv, rows, rstd, layout, turn, begin, end, drows, dq_gain, dk_gain);
}
float CausalSoftmaxRow(float* s, int64_t count, int64_t width, float scale) {
  return HWY_DYNAMIC_DISPATCH(CausalSoftmaxRowImpl)(s, count, width, scale);
}
void CausalSoftmaxAgain(float* s, int64_t count, int64_t width, float scale, float log_sum) {
  HWY_DYNAMIC_DISPATCH(CausalSoftmaxAgainImpl)(s, count, width, scale, log_sum);
}
void CausalSoftmaxBackward(const float* p, float* dp, float dot, int64_t count, int64_t width,
                           float scale) {
  HWY_DYNAMIC_DISPATCH(CausalSoftmaxBackwardImpl)(p, dp, dot, count, width, scale);
}
float Dot(const float* a, const float* b, int64_t width) {
  return HWY_DYNAMIC_DISPATCH(DotImpl)(a, b, width);
}
void SwiGlu(const float* rows, int64_t count, int64_t ffn_hidden, float* out) {
  HWY_DYNAMIC_DISPATCH(SwiGluImpl)(rows, count, ffn_hidden, out);
}
void SwiGluBackward(const float* dout, const float* rows, int64_t count, int64_t ffn_hidden,
                    float* drows) {
  HWY_DYNAMIC_DISPATCH(SwiGluBackwardImpl)(dout, rows, count, ffn_hidden, drows);
}
float CrossEntropyRow(float* logits, int64_t vocab_size, int64_t target, float scale) {
  return HWY_DYNAMIC_DISPATCH(CrossEntropyRowImpl)(logits, vocab_size, target, scale);
}
void AdamW(const AdamWStep& step, const float* grad, int64_t count, float* parameter, float* m,
           float* v) {
  HWY_DYNAMIC_DISPATCH(AdamWImpl)(step, grad, count, parameter, m, v);
}

double SumOfSquares(const float* values, int64_t count) {
  // Floats summed in short runs, the runs in double: exact enough for any size.
  constexpr int64_t kRun = 4096;
  double sum = 0;
  for (int64_t i = 0; i < count; i += kRun) {
    const int64_t run = std::min(kRun, count - i);
    sum += Dot(values + i, values + i, run);
  }
  return sum;
}

}  // namespace floe::trainer::kernels
#endif
