#include "inference/engine/kernels.h"

#include <cmath>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/kernels.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Needs the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

#include "inference/engine/lanes.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

void RmsNormImpl(const float* x, const float* gain, float eps, int64_t width, float* y) {
  const D d;
  const int64_t whole = width / 16 * 16;
  V acc[kVectors];
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V value = hn::LoadU(d, x + i + v * kLanes);
      acc[v] = hn::MulAdd(value, value, acc[v]);
    }
  }
  float sum = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) sum += x[i] * x[i];
  const float inverse = 1.0f / std::sqrt(sum / static_cast<float>(width) + eps);
  const V scale = hn::Set(d, inverse);
  for (int64_t i = 0; i < whole; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), scale), hn::LoadU(d, gain + i)), d, y + i);
  }
  for (int64_t i = whole; i < width; ++i) y[i] = x[i] * inverse * gain[i];
}

void LayerNormImpl(const float* x, const LayerNormParameters& p, int64_t width, float* y) {
  const D d;
  const int64_t whole = width / 16 * 16;
  V acc[kVectors];
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      acc[v] = hn::Add(acc[v], hn::LoadU(d, x + i + v * kLanes));
    }
  }
  float sum = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(width);
  const V centre = hn::Set(d, mean);
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V apart = hn::Sub(hn::LoadU(d, x + i + v * kLanes), centre);
      acc[v] = hn::MulAdd(apart, apart, acc[v]);
    }
  }
  float squares = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(width) + p.eps);
  const V scale = hn::Set(d, inverse);
  for (int64_t i = 0; i < whole; i += kLanes) {
    const V normed = hn::Mul(hn::Sub(hn::LoadU(d, x + i), centre), scale);
    hn::StoreU(hn::MulAdd(normed, hn::LoadU(d, p.gain + i), hn::LoadU(d, p.shift + i)), d, y + i);
  }
  for (int64_t i = whole; i < width; ++i) y[i] = (x[i] - mean) * inverse * p.gain[i] + p.shift[i];
}

void SwiGluImpl(const float* gate, const float* up, int64_t width, float* y) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V limit = hn::Set(d, 88.0f);  // where exp still is a number
  for (int64_t i = 0; i < width; i += kLanes) {
    const V g = hn::LoadU(d, gate + i);
    const V silu = hn::Div(g, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(g), limit))));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, up + i)), d, y + i);
  }
}

// 0.5 (1 + tanh(z)) = 1 / (1 + exp(-2z)).
void GeluTanhImpl(const float* x, int64_t width, float* y) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V limit = hn::Set(d, 88.0f);                           // where exp still is a number
  const V minus_two_roots = hn::Set(d, -1.5957691216057308f);  // -2 sqrt(2 / pi)
  const V cubic = hn::Set(d, 0.044715f);
  for (int64_t i = 0; i < width; i += kLanes) {
    const V value = hn::LoadU(d, x + i);
    const V cube = hn::Mul(hn::Mul(value, value), value);
    const V exponent = hn::Mul(hn::MulAdd(cube, cubic, value), minus_two_roots);
    hn::StoreU(hn::Div(value, hn::Add(one, hn::Exp(d, hn::Min(exponent, limit)))), d, y + i);
  }
}

const char* TargetImpl() { return hwy::TargetName(HWY_TARGET); }

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(RmsNormImpl);
HWY_EXPORT(LayerNormImpl);
HWY_EXPORT(SwiGluImpl);
HWY_EXPORT(GeluTanhImpl);
HWY_EXPORT(TargetImpl);

void RmsNorm(const float* x, const float* gain, float eps, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(RmsNormImpl)(x, gain, eps, width, y);
}

void LayerNorm(const float* x, const LayerNormParameters& parameters, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(LayerNormImpl)(x, parameters, width, y);
}

void SwiGlu(const float* gate, const float* up, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(SwiGluImpl)(gate, up, width, y);
}

void GeluTanh(const float* x, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(GeluTanhImpl)(x, width, y);
}

const char* KernelTarget() { return HWY_DYNAMIC_DISPATCH(TargetImpl)(); }

}  // namespace floe::inference
#endif  // HWY_ONCE
