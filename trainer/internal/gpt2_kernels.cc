#include "trainer/internal/gpt2_kernels.h"

#include <cmath>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/internal/gpt2_kernels.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Need the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

#include "trainer/internal/vector_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void LayerNormImpl(const float* x, const float* gain, const float* shift, float eps, int64_t rows,
                   int64_t width, float* y, float* moments) {
  for (int64_t r = 0; r < rows; ++r, x += width, y += width) {
    const auto count = static_cast<float>(width);
    const float mean = Sum(width, [&](auto d, int64_t i) { return hn::LoadU(d, x + i); }) / count;
    // The variance around the mean, not the difference of two large sums.
    const float variance = Sum(width,
                               [&](auto d, int64_t i) {
                                 const auto c = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
                                 return hn::Mul(c, c);
                               }) /
                           count;
    const float rstd = 1.0f / std::sqrt(variance + eps);
    ForEach(width, [&](auto d, int64_t i) {
      const auto xhat = hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean)), hn::Set(d, rstd));
      hn::StoreU(hn::MulAdd(xhat, hn::LoadU(d, gain + i), hn::LoadU(d, shift + i)), d, y + i);
    });
    moments[2 * r] = mean;
    moments[2 * r + 1] = rstd;
  }
}

// With g = dy * gain and xhat: dx = rstd * (g - mean(g) - xhat * mean(g * xhat)).
void LayerNormBackwardImpl(const float* dy, const float* x, const float* gain, const float* moments,
                           int64_t rows, int64_t width, float* dx, float* dgain, float* dshift) {
  for (int64_t r = 0; r < rows; ++r, dy += width, x += width, dx += width) {
    const float mean = moments[2 * r], rstd = moments[2 * r + 1];
    const auto count = static_cast<float>(width);
    const auto normed = [&](auto d, int64_t i) {
      return hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean)), hn::Set(d, rstd));
    };
    const auto scaled = [&](auto d, int64_t i) {
      return hn::Mul(hn::LoadU(d, dy + i), hn::LoadU(d, gain + i));
    };
    const float of_g = Sum(width, scaled) / count;
    const float of_both =
        Sum(width, [&](auto d, int64_t i) { return hn::Mul(scaled(d, i), normed(d, i)); }) / count;
    ForEach(width, [&](auto d, int64_t i) {
      const auto xhat = normed(d, i), grad = hn::LoadU(d, dy + i);
      const auto centred = hn::Sub(scaled(d, i), hn::Set(d, of_g));
      const auto inner = hn::NegMulAdd(xhat, hn::Set(d, of_both), centred);
      hn::StoreU(hn::MulAdd(grad, xhat, hn::LoadU(d, dgain + i)), d, dgain + i);
      hn::StoreU(hn::Add(grad, hn::LoadU(d, dshift + i)), d, dshift + i);
      hn::StoreU(hn::Mul(inner, hn::Set(d, rstd)), d, dx + i);
    });
  }
}

constexpr float kRoot = 0.7978845608028654f;  // sqrt(2 / pi)
constexpr float kCube = 0.044715f;

// 0.5 (1 + tanh(z)) = 1 / (1 + exp(-2 z)).
template <class Tag, class Vector>
HWY_INLINE Vector Gate(Tag d, Vector x) {
  const auto inner = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), hn::Set(d, kCube), x);
  const auto exponent = hn::Mul(inner, hn::Set(d, -2.0f * kRoot));
  const auto one = hn::Set(d, 1.0f);
  const auto bounded = hn::Min(exponent, hn::Set(d, 88.0f));  // beyond it, Exp overflows
  return hn::Div(one, hn::Add(one, hn::Exp(d, bounded)));
}

void GeluImpl(const float* x, int64_t count, float* y) {
  ForEach(count, [&](auto d, int64_t i) {
    const auto value = hn::LoadU(d, x + i);
    hn::StoreU(hn::Mul(value, Gate(d, value)), d, y + i);
  });
}

// With s the gate: s + x s (1 - s) 2 sqrt(2 / pi) (1 + 3 * 0.044715 x^2).
void GeluBackwardImpl(const float* dy, const float* x, int64_t count, float* dx) {
  ForEach(count, [&](auto d, int64_t i) {
    const auto value = hn::LoadU(d, x + i);
    const auto gate = Gate(d, value), one = hn::Set(d, 1.0f);
    const auto slope = hn::MulAdd(hn::Mul(value, value), hn::Set(d, 6.0f * kCube * kRoot),
                                  hn::Set(d, 2.0f * kRoot));
    const auto change = hn::Mul(hn::Mul(value, gate), hn::Mul(hn::Sub(one, gate), slope));
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), hn::Add(gate, change)), d, dx + i);
  });
}

}  // namespace floe::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::trainer::kernels {

HWY_EXPORT(LayerNormImpl);
HWY_EXPORT(LayerNormBackwardImpl);
HWY_EXPORT(GeluImpl);
HWY_EXPORT(GeluBackwardImpl);

void LayerNorm(const float* x, const float* gain, const float* shift, float eps, int64_t rows,
               int64_t width, float* y, float* moments) {
  HWY_DYNAMIC_DISPATCH(LayerNormImpl)(x, gain, shift, eps, rows, width, y, moments);
}
void LayerNormBackward(const float* dy, const float* x, const float* gain, const float* moments,
                       int64_t rows, int64_t width, float* dx, float* dgain, float* dshift) {
  HWY_DYNAMIC_DISPATCH(LayerNormBackwardImpl)
  (dy, x, gain, moments, rows, width, dx, dgain, dshift);
}
void Gelu(const float* x, int64_t count, float* y) { HWY_DYNAMIC_DISPATCH(GeluImpl)(x, count, y); }
void GeluBackward(const float* dy, const float* x, int64_t count, float* dx) {
  HWY_DYNAMIC_DISPATCH(GeluBackwardImpl)(dy, x, count, dx);
}

}  // namespace floe::trainer::kernels
#endif
