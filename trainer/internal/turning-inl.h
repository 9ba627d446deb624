// Small pieces of matrices with rows and columns exchanged. Included behind hwy/highway.h, again
// for every target: hence no `#pragma once`.
#if defined(FLOE_TURNING) == defined(HWY_TARGET_TOGGLE)
#ifdef FLOE_TURNING
#undef FLOE_TURNING
#else
#define FLOE_TURNING
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
using Four = hn::FixedTag<float, 4>;

// Four rows by four columns from `from` on, whose rows lie `stride` apart, turned to `to`.
HWY_INLINE void TurnFour(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Four d;
  const hn::RepartitionToWide<Four> wide;
  const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + from_stride),
             r2 = hn::LoadU(d, from + 2 * from_stride), r3 = hn::LoadU(d, from + 3 * from_stride);
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, r0, r1)),
             low23 = hn::BitCast(wide, hn::InterleaveLower(d, r2, r3)),
             high01 = hn::BitCast(wide, hn::InterleaveUpper(d, r0, r1)),
             high23 = hn::BitCast(wide, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, to + 3 * to_stride);
}
#endif

}  // namespace floe::trainer::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
