// Operands of the matrix product in the order in which its innermost loop reads them. Included
// behind hwy/highway.h, again for every target: hence no `#pragma once`.
#if defined(FLOE_GEMM_PACKING) == defined(HWY_TARGET_TOGGLE)
#ifdef FLOE_GEMM_PACKING
#undef FLOE_GEMM_PACKING
#else
#define FLOE_GEMM_PACKING
#endif

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"

#include "trainer/internal/gemm.h"
#include "trainer/internal/turning-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Numbers (i, j) of a matrix that is read across or along: data[i * row + j * column].
struct View {
  const float* data;
  int64_t row, column;

  explicit View(Matrix m)
      : data(m.data), row(m.transposed ? 1 : m.stride), column(m.transposed ? m.stride : 1) {}
  View Turned() const {
    View turned = *this;
    std::swap(turned.row, turned.column);
    return turned;
  }
  View From(int64_t i, int64_t j) const {
    View part = *this;
    part.data += i * row + j * column;
    return part;
  }
};

// One strip of Pack, whose rows lie side by side in memory.
template <int64_t kWide>
HWY_INLINE void PackAlong(View strip, int64_t depth, float* HWY_RESTRICT to) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
  using Chunk = hn::CappedTag<float, kWide % kLanes == 0 ? kLanes : kWide % 4 == 0 ? 4 : 2>;
  const Chunk d;
  constexpr int64_t kChunk = static_cast<int64_t>(hn::MaxLanes(Chunk()));
  const float* from = strip.data;
  for (int64_t k = 0; k < depth; ++k, from += strip.column, to += kWide) {
    for (int64_t r = 0; r < kWide; r += kChunk) hn::StoreU(hn::LoadU(d, from + r), d, to + r);
  }
}

// One whose columns do: it is turned, four by four where the strip's width allows that.
template <int64_t kWide>
HWY_INLINE void PackAcross(View strip, int64_t depth, float* HWY_RESTRICT to) {
  int64_t k = 0;
  // Eight steps at a time: a cache line is read while it is there.
  for (; k + 8 <= depth; k += 8) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kWide % 4 == 0) {
      for (int64_t r = 0; r < kWide; r += 4) {
        const float* rows = strip.data + r * strip.row + k;
        TurnFour(rows, strip.row, to + k * kWide + r, kWide);
        TurnFour(rows + 4, strip.row, to + (k + 4) * kWide + r, kWide);
      }
      continue;
    }
#endif
    for (int64_t r = 0; r < kWide; ++r) {
      const float* row = strip.data + r * strip.row + k;
      for (int64_t i = 0; i < 8; ++i) to[(k + i) * kWide + r] = row[i];
    }
  }
  for (; k < depth; ++k) {
    for (int64_t r = 0; r < kWide; ++r) to[k * kWide + r] = strip.data[r * strip.row + k];
  }
}

// Copies `count` rows by `depth` columns to strips [depth][kWide], one strip for kWide rows; rows
// beyond the last are zero.
template <int64_t kWide>
void Pack(View from, int64_t count, int64_t depth, float* HWY_RESTRICT to) {
  for (int64_t first = 0; first < count; first += kWide, to += depth * kWide) {
    const View strip = from.From(first, 0);
    const int64_t rows = std::min(kWide, count - first);
    if (rows < kWide) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t r = 0; r < kWide; ++r) {
          to[k * kWide + r] = r < rows ? strip.data[r * strip.row + k * strip.column] : 0.0f;
        }
      }
    } else if (strip.row == 1) {
      PackAlong<kWide>(strip, depth, to);
    } else {
      PackAcross<kWide>(strip, depth, to);
    }
  }
}

}  // namespace floe::trainer::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
