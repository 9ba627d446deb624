#include "trainer/internal/block_product.h"

#include <algorithm>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/internal/block_product.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"

#include "trainer/internal/turning-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kTileRows = 6;  // times two vectors of sums: 12 of AVX2's 16 registers

// Everything but where a tile begins.
struct Operands {
  int64_t k;
  StridedBlock a;
  int64_t b_stride, c_stride;
  bool add;
};

// `kRows` rows by `kVectors` vectors of C.
template <int kRows, int kVectors, class Tag>
HWY_INLINE void Tile(Tag d, const Operands& with, const float* a, const float* b, float* c) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Tag> sums[kRows][kVectors];
  for (auto& row : sums) {
    for (auto& sum : row) sum = hn::Zero(d);
  }
  for (int64_t i = 0; i < with.k; ++i, a += with.a.column, b += with.b_stride) {
    hn::Vec<Tag> columns[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) columns[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d, a[r * with.a.row]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(factor, columns[v], sums[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r, c += with.c_stride) {
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + v * lanes;
      hn::StoreU(with.add ? hn::Add(hn::LoadU(d, to), sums[r][v]) : sums[r][v], d, to);
    }
  }
}

// The last rows of a panel: as many as are left.
template <int kRows, int kVectors, class Tag>
HWY_INLINE void Rest(Tag d, int64_t rows, const Operands& with, const float* a, const float* b,
                     float* c) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return Tile<kRows, kVectors>(d, with, a, b, c);
    Rest<kRows - 1, kVectors>(d, rows, with, a, b, c);
  }
}

// All rows of `kVectors` vectors of columns: b stays in the L1 cache.
template <int kVectors, class Tag>
HWY_INLINE void Panel(Tag d, int64_t rows, const Operands& with, const float* b, float* c) {
  const float* a = with.a.data;
  for (; rows >= kTileRows; rows -= kTileRows) {
    Tile<kTileRows, kVectors>(d, with, a, b, c);
    a += kTileRows * with.a.row;
    c += kTileRows * with.c_stride;
  }
  Rest<kTileRows - 1, kVectors>(d, rows, with, a, b, c);
}

// The columns that are left: by whole vectors, by halves of one, by quarters, and so on.
template <int64_t kLanes>
HWY_INLINE void LastColumns(int64_t rows, int64_t columns, const Operands& with, const float* b,
                            float* c) {
  if constexpr (kLanes > 0) {
    const hn::CappedTag<float, kLanes> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; columns >= lanes; columns -= lanes, b += lanes, c += lanes) {
      Panel<1>(d, rows, with, b, c);
    }
    LastColumns<kLanes / 2>(rows, columns, with, b, c);
  }
}

void BlockProductImpl(int64_t m, int64_t n, int64_t k, StridedBlock a, const float* b,
                      int64_t b_stride, bool add, float* c, int64_t c_stride) {
  const Operands with{.k = k, .a = a, .b_stride = b_stride, .c_stride = c_stride, .add = add};
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + 2 * lanes <= n; j += 2 * lanes) Panel<2>(d, m, with, b + j, c + j);
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  LastColumns<kLanes>(m, n - j, with, b + j, c + j);
}

void TurnBlockImpl(int64_t rows, int64_t columns, const float* from, float* to, int64_t to_stride) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      TurnFour(from + i * columns + j, columns, to + j * to_stride + i, to_stride);
    }
    for (; j < columns; ++j) {
      for (int64_t r = i; r < i + 4; ++r) to[j * to_stride + r] = from[r * columns + j];
    }
  }
#endif
  for (; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[j * to_stride + i] = from[i * columns + j];
  }
}

}  // namespace floe::trainer::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::trainer {

HWY_EXPORT(BlockProductImpl);
HWY_EXPORT(TurnBlockImpl);

void BlockProduct(int64_t m, int64_t n, int64_t k, StridedBlock a, const float* b, int64_t b_stride,
                  bool add, float* c, int64_t c_stride) {
  HWY_DYNAMIC_DISPATCH(BlockProductImpl)(m, n, k, a, b, b_stride, add, c, c_stride);
}

void TurnBlock(int64_t rows, int64_t columns, const float* from, float* to, int64_t to_stride) {
  HWY_DYNAMIC_DISPATCH(TurnBlockImpl)(rows, columns, from, to, to_stride);
}

}  // namespace floe::trainer
#endif
