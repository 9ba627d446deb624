#include "inference/sampling/weights.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/sampling/weights.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Needs the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float kNever = -std::numeric_limits<float>::infinity();

float LargestImpl(const float* logits, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto never = hn::Set(d, kNever);
  auto largest = never;
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto x = hn::LoadU(d, logits + i);
    largest = hn::Max(largest, hn::IfThenElse(hn::IsNaN(x), never, x));
  }
  float max = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < count; ++i) max = logits[i] > max ? logits[i] : max;
  return max;
}

size_t FirstEqualImpl(const float* logits, size_t count, float value) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto wanted = hn::Set(d, value);
  size_t i = 0;
  while (i + lanes <= count && hn::AllFalse(d, hn::Eq(hn::LoadU(d, logits + i), wanted))) {
    i += lanes;
  }
  while (i < count && logits[i] != value) ++i;
  return i;
}

// One block or less. Exp gives 0 for what is far below and for a NaN.
double WeighBlockImpl(const float* logits, size_t count, float max, double scale, double* weights) {
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const size_t lanes = hn::Lanes(d);
  const auto shift = hn::Set(d, static_cast<double>(max));
  const auto factor = hn::Set(d, scale);
  const auto weigh = [&](const float* from) HWY_ATTR {
    const auto x = hn::PromoteTo(d, hn::LoadU(narrow, from));
    return hn::Exp(d, hn::Mul(hn::Sub(x, shift), factor));
  };
  auto sum = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto w = weigh(logits + i);
    hn::StoreU(w, d, weights + i);
    sum = hn::Add(sum, w);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  if (i == count) return total;
  float rest[8];
  double weighed[8];
  std::fill(std::copy(logits + i, logits + count, rest), rest + 8, kNever);
  for (size_t at = 0; at < 8; at += lanes) hn::StoreU(weigh(rest + at), d, weighed + at);
  for (size_t at = 0; i < count; ++i, ++at) total += weights[i] = weighed[at];
  return total;
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(LargestImpl);
HWY_EXPORT(FirstEqualImpl);
HWY_EXPORT(WeighBlockImpl);

int32_t Likeliest(std::span<const float> logits) {
  const float max = HWY_DYNAMIC_DISPATCH(LargestImpl)(logits.data(), logits.size());
  if (max == -std::numeric_limits<float>::infinity()) return 0;
  return static_cast<int32_t>(
      HWY_DYNAMIC_DISPATCH(FirstEqualImpl)(logits.data(), logits.size(), max));
}

double Weigh(std::span<const float> logits, float max, double scale, double* weights,
             double* sums) {
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kWeightBlock) {
    const size_t count = std::min<size_t>(kWeightBlock, logits.size() - begin);
    total += * sums++ = HWY_DYNAMIC_DISPATCH(WeighBlockImpl)(logits.data() + begin, count, max,
                                                             scale, weights + begin);
  }
  return total;
}

}  // namespace floe::inference
#endif  // HWY_ONCE
