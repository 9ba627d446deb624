#include "trainer/internal/gemm.h"

#include <algorithm>
#include <vector>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/internal/gemm.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"

#include "trainer/internal/gemm_packing-inl.h"

#ifndef FLOE_TRAINER_INTERNAL_GEMM_CC_
#define FLOE_TRAINER_INTERNAL_GEMM_CC_
namespace floe::trainer {

// The part of C that one thread computes, from its first row and column on.
struct GemmPart {
  int64_t m, n, k;
  Matrix a, b;
  GemmBase base;
  float* c;
  int64_t c_stride;
};

}  // namespace floe::trainer
#endif

HWY_BEFORE_NAMESPACE();
namespace floe::trainer::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
// A tile of C is held in registers: kRows rows of two vectors.
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int64_t kRows = 12;
#else
constexpr int64_t kRows = 6;
#endif
constexpr int64_t kColumns = 2 * kLanes;
// A strip of B stays in the first cache, or comes from the second as fast as it is used; a block of
// A stays in the second.
constexpr int64_t kMaxDepth = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3 ? 384 : 256;
constexpr int64_t kBlockRows = 192;
constexpr int64_t kBlockColumns = 2048;
// C lies in no cache when it is written for the first time: its lines are asked for while the last
// steps of a tile are computed.
constexpr int64_t kStepsAhead = 40;

template <int64_t kUsed>
HWY_INLINE void Clear(V (&sums)[kUsed][2]) {
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) sums[r][0] = sums[r][1] = hn::Zero(D());
}

// Adds the products of the first kUsed rows over `depth` steps of both strips.
template <int64_t kUsed>
HWY_INLINE void Multiply(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t depth,
                         V (&sums)[kUsed][2]) {
  const D d;
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += kColumns) {
    const V left = hn::Load(d, b), right = hn::Load(d, b + kLanes);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const V factor = hn::Set(d, a[r]);
      sums[r][0] = hn::MulAdd(factor, left, sums[r][0]);
      sums[r][1] = hn::MulAdd(factor, right, sums[r][1]);
    }
  }
}

// What a tile is added to, at its corner.
struct TileBase {
  const float* bias;
  const float* matrix;
};

// kUsed rows of whole columns.
template <int64_t kUsed>
HWY_INLINE void WholeTile(const float* a, const float* b, int64_t depth, const TileBase& base,
                          float* c, int64_t c_stride) {
  const D d;
  V sums[kUsed][2];
  Clear(sums);
  const int64_t before = std::max<int64_t>(0, depth - kStepsAhead);
  Multiply(a, b, before, sums);
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    hwy::Prefetch(c + r * c_stride);
    hwy::Prefetch(c + r * c_stride + kLanes);
  }
  Multiply(a + before * kRows, b + before * kColumns, depth - before, sums);
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < 2; ++v) {
      V sum = sums[r][v];
      const int64_t at = r * c_stride + v * kLanes;
      if (base.bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, base.bias + v * kLanes));
      if (base.matrix != nullptr) sum = hn::Add(sum, hn::LoadU(d, base.matrix + at));
      hn::StoreU(sum, d, c + at);
    }
  }
}

// Any other tile: the same sums, of which some are kept.
void EdgeTile(const float* a, const float* b, int64_t depth, const TileBase& base, int64_t rows,
              int64_t columns, float* c, int64_t c_stride) {
  const D d;
  HWY_ALIGN float kept[kRows * kColumns];
  V sums[kRows][2];
  Clear(sums);
  Multiply(a, b, depth, sums);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t v = 0; v < 2; ++v) hn::Store(sums[r][v], d, kept + r * kColumns + v * kLanes);
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < columns; ++j) {
      float sum = kept[r * kColumns + j];
      if (base.bias != nullptr) sum += base.bias[j];
      if (base.matrix != nullptr) sum += base.matrix[r * c_stride + j];
      c[r * c_stride + j] = sum;
    }
  }
}

// A block of A, packed, times a block of B, packed.
void MultiplyBlocks(const float* a, const float* b, int64_t rows, int64_t columns, int64_t depth,
                    const TileBase& base, float* c, int64_t c_stride) {
  for (int64_t j = 0; j < columns; j += kColumns, b += depth * kColumns) {
    const float* strip = a;
    for (int64_t i = 0; i < rows; i += kRows, strip += depth * kRows) {
      const int64_t at = i * c_stride + j;
      const TileBase here{base.bias == nullptr ? nullptr : base.bias + j,
                          base.matrix == nullptr ? nullptr : base.matrix + at};
      const int64_t height = columns - j < kColumns ? 0 : std::min(kRows, rows - i);
      if (height == kRows) {
        WholeTile<kRows>(strip, b, depth, here, c + at, c_stride);
      } else if (height == kRows * 2 / 3) {  // powers of two leave these
        WholeTile<kRows * 2 / 3>(strip, b, depth, here, c + at, c_stride);
      } else if (height == kRows / 3) {
        WholeTile<kRows / 3>(strip, b, depth, here, c + at, c_stride);
      } else {
        EdgeTile(strip, b, depth, here, std::min(kRows, rows - i), std::min(kColumns, columns - j),
                 c + at, c_stride);
      }
    }
  }
}

// Room for `floats`, on a cache line's border; kept by the thread for its next product.
float* Scratch(std::vector<float>& kept, int64_t floats) {
  constexpr size_t kLine = 64;
  const size_t wanted = static_cast<size_t>(floats) + kLine / sizeof(float);
  if (kept.size() < wanted) kept.resize(wanted);
  const auto address = reinterpret_cast<uintptr_t>(kept.data());
  return kept.data() + ((address + kLine - 1) / kLine * kLine - address) / sizeof(float);
}

constexpr int64_t RoundUp(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// Blocks along k of much the same depth: a short last one would read and write C for little.
int64_t DepthFor(int64_t k) {
  const int64_t blocks = std::max<int64_t>(1, (k + kMaxDepth - 1) / kMaxDepth);
  return std::max<int64_t>(8, RoundUp((k + blocks - 1) / blocks, 8));
}

void GemmImpl(const GemmPart& part) {
  thread_local std::vector<float> of_a, of_b;
  const View a(part.a), b = View(part.b).Turned();
  const int64_t most = DepthFor(part.k);
  float* packed_a = Scratch(of_a, RoundUp(std::min(kBlockRows, part.m), kRows) * most);
  float* packed_b = Scratch(of_b, RoundUp(std::min(kBlockColumns, part.n), kColumns) * most);
  for (int64_t j = 0; j < part.n; j += kBlockColumns) {
    const int64_t columns = std::min(kBlockColumns, part.n - j);
    // Once also without a step: what `base` gives is written.
    for (int64_t k = 0; k == 0 || k < part.k; k += most) {
      const int64_t depth = std::min(most, part.k - k);
      Pack<kColumns>(b.From(j, k), columns, depth, packed_b);
      for (int64_t i = 0; i < part.m; i += kBlockRows) {
        const int64_t rows = std::min(kBlockRows, part.m - i);
        Pack<kRows>(a.From(i, k), rows, depth, packed_a);
        float* c = part.c + i * part.c_stride + j;
        TileBase base{nullptr, c};
        if (k == 0) {
          base.bias = part.base.bias == nullptr ? nullptr : part.base.bias + j;
          base.matrix =
              part.base.matrix == nullptr ? nullptr : part.base.matrix + i * part.c_stride + j;
        }
        MultiplyBlocks(packed_a, packed_b, rows, columns, depth, base, c, part.c_stride);
      }
    }
  }
}

}  // namespace floe::trainer::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#ifdef _OPENMP
#include <omp.h>
#endif

namespace floe::trainer {
namespace {

HWY_EXPORT(GemmImpl);

constexpr int64_t kShare = 48;              // rows or columns of a thread: whole tiles anywhere
constexpr int64_t kSmallProduct = 1 << 17;  // multiply-adds done before another thread has woken

int64_t ThreadsFor(int64_t shares, int64_t work) {
#ifdef _OPENMP
  if (omp_in_parallel() != 0 || work < kSmallProduct) return 1;
  return std::min<int64_t>(omp_get_max_threads(), shares);
#else
  return 1;
#endif
}

// Rows or columns [begin, end) of the whole.
GemmPart PartOf(const GemmPart& whole, bool by_rows, int64_t begin, int64_t end) {
  GemmPart part = whole;
  if (by_rows) {
    part.m = end - begin;
    part.a.data += begin * (whole.a.transposed ? 1 : whole.a.stride);
    part.c += begin * whole.c_stride;
    if (part.base.matrix != nullptr) part.base.matrix += begin * whole.c_stride;
  } else {
    part.n = end - begin;
    part.b.data += begin * (whole.b.transposed ? whole.b.stride : 1);
    part.c += begin;
    if (part.base.bias != nullptr) part.base.bias += begin;
    if (part.base.matrix != nullptr) part.base.matrix += begin;
  }
  return part;
}

}  // namespace

void Gemm(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const GemmBase& base, float* c,
          int64_t c_stride) {
  const GemmPart whole{m, n, k, a, b, base, c, c_stride};
  // Each thread packs the operand that is not divided for itself: the smaller one.
  const bool by_rows = m >= n;
  const int64_t size = by_rows ? m : n, shares = (size + kShare - 1) / kShare;
  const int64_t threads = ThreadsFor(shares, m * n * k);
  if (threads <= 1) return HWY_DYNAMIC_DISPATCH(GemmImpl)(whole);
#pragma omp parallel for num_threads(static_cast <int>(threads)) schedule(static, 1)
  for (int64_t t = 0; t < threads; ++t) {
    const int64_t begin = shares * t / threads * kShare;
    const int64_t end = std::min(size, shares * (t + 1) / threads * kShare);
    HWY_DYNAMIC_DISPATCH(GemmImpl)(PartOf(whole, by_rows, begin, end));
  }
}

}  // namespace floe::trainer
#endif
