// Loops over whole vectors and the rest, for kernels that Highway builds once a target. Included
// behind hwy/highway.h, again for every target: hence no `#pragma once`.
#if defined(FLOE_VECTOR_LOOPS) == defined(HWY_TARGET_TOGGLE)
#ifdef FLOE_VECTOR_LOOPS
#undef FLOE_VECTOR_LOOPS
#else
#define FLOE_VECTOR_LOOPS
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using One = hn::CappedTag<float, 1>;

// Calls body(tag, i) for whole vectors, then for the rest one by one.
template <class Body>
HWY_INLINE void ForEach(int64_t count, const Body& body) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  for (const One one; i < count; ++i) body(one, i);
}

// The sum of body(tag, i) over all elements: four vector chains, then the rest.
template <class Body>
HWY_INLINE float Sum(int64_t count, const Body& body) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V a = hn::Zero(d), b = hn::Zero(d), c = hn::Zero(d), e = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    a = hn::Add(a, body(d, i));
    b = hn::Add(b, body(d, i + lanes));
    c = hn::Add(c, body(d, i + 2 * lanes));
    e = hn::Add(e, body(d, i + 3 * lanes));
  }
  for (; i + lanes <= count; i += lanes) a = hn::Add(a, body(d, i));
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
  for (const One one; i < count; ++i) sum += hn::GetLane(body(one, i));
  return sum;
}

}  // namespace floe::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
