#include "inference/engine/int8_matmul.h"

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/int8_matmul.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Need the target that highway.h chose.
#include "inference/engine/lanes.inc"
#include "inference/engine/tile_output.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

using DI = hn::Rebind<int32_t, D>;
using VI = hn::Vec<DI>;

constexpr int64_t kGroup = model::kQuantizationGroup;
constexpr int kPairs = kGroup / 2;
// A group below this has no scale that a float can invert.
constexpr float kSmallest = 1e-30f;

// Two numbers for each sum: neighbours along k.
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
// One instruction multiplies both and adds them.
using DS = hn::Repartition<int16_t, D>;
using Pairs = hn::Vec<DS>;

HWY_INLINE Pairs LoadPairs(const int8_t* numbers) {
  return hn::PromoteTo(DS(), hn::LoadU(hn::Rebind<int8_t, DS>(), numbers));
}
HWY_INLINE Pairs SamePair(const int16_t* numbers) {
  int32_t both;
  hwy::CopyBytes<sizeof(both)>(numbers, &both);
  return hn::BitCast(DS(), hn::Set(DI(), both));
}
HWY_INLINE VI AddProducts(Pairs a, Pairs b, VI sums) {
  VI products = hn::Zero(DI());
  products = hn::ReorderWidenMulAccumulate(DI(), a, b, products, products);
#if HWY_TARGET <= HWY_AVX2
  // Left to itself GCC makes many products first and adds them later, from memory, or copies every
  // sum: registers just suffice where each is added in place.
  asm("vpaddd %1, %0, %0" : "+x"(sums.raw) : "x"(products.raw));
  return sums;
#else
  return hn::Add(sums, products);
#endif
}
#else
struct Pairs {
  VI first, second;
};

HWY_INLINE Pairs LoadPairs(const int8_t* numbers) {
  const hn::Rebind<int16_t, D> both;
  const VI pair = hn::PromoteTo(DI(), hn::LoadU(both, reinterpret_cast<const int16_t*>(numbers)));
  return {hn::ShiftRight<24>(hn::ShiftLeft<24>(pair)), hn::ShiftRight<8>(pair)};
}
HWY_INLINE Pairs SamePair(const int16_t* numbers) {
  return {hn::Set(DI(), numbers[0]), hn::Set(DI(), numbers[1])};
}
HWY_INLINE VI AddProducts(const Pairs& a, const Pairs& b, VI sums) {
  return hn::Add(hn::Add(sums, hn::Mul(a.first, b.first)), hn::Mul(a.second, b.second));
}
#endif

// What a tile fetches for the next panel while it computes: `lines` cache lines a group.
struct LinesAhead {
  const uint8_t* from = nullptr;
  int64_t lines = 0;
};

// MR rows by one panel. A group's sums stay in registers; what they add up to is kept beside.
template <int MR>
HWY_INLINE void Tile(const RoundedRows& x, int64_t row, const uint8_t* HWY_RESTRICT block,
                     LinesAhead ahead, const Output& output) {
  const D d;
  const DI di;
  const int64_t stride = x.groups * kGroup;
  const int16_t* HWY_RESTRICT numbers = x.numbers + row * stride;
  const float* HWY_RESTRICT scales = x.scales + row * x.groups;
  HWY_ALIGN float totals[MR][kPanelColumns] = {};
  for (int64_t group = 0; group < x.groups; ++group, block += kBlockBytes, numbers += kGroup) {
    for (int64_t line = 0; line < ahead.lines; ++line, ahead.from += 64) FetchSoon(ahead.from);
    VI sums[MR][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(di);
    }
    const auto* weights = reinterpret_cast<const int8_t*>(block + kBlockScaleBytes);
#pragma GCC unroll 1
    for (int pair = 0; pair < kPairs; ++pair, weights += 2 * kPanelColumns) {
      Pairs w[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) w[v] = LoadPairs(weights + 2 * v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) {
        const Pairs a = SamePair(numbers + r * stride + 2 * pair);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sums[r][v] = AddProducts(a, w[v], sums[r][v]);
      }
    }
    const hn::Rebind<hwy::float16_t, D> half;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V scale = hn::PromoteTo(
          d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(block) + v * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) {
        float* total = totals[r] + v * kLanes;
        const V unit = hn::Mul(scale, hn::Set(d, scales[r * x.groups + group]));
        hn::Store(hn::MulAdd(hn::ConvertTo(d, sums[r][v]), unit, hn::Load(d, total)), d, total);
      }
    }
  }
  for (int r = 0; r < MR; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      output.Store(r, v * kLanes, hn::Load(d, totals[r] + v * kLanes));
    }
  }
}

// One sum a row and vector, the vectors of two steps' weights, one broadcast.
constexpr int kMaxRows = HWY_MAX(1, HWY_MIN(16, (kRegisters - kVectors - 1) / kVectors));

// MR chosen at run time among 1 to kMaxRows.
template <int MR>
HWY_INLINE void RunTile(int rows, const RoundedRows& x, int64_t row, const uint8_t* blocks,
                        LinesAhead ahead, const Output& output) {
  if (rows == MR) return Tile<MR>(x, row, blocks, ahead, output);
  if constexpr (MR > 1) RunTile<MR - 1>(rows, x, row, blocks, ahead, output);
}

void MatMulInt8Impl(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
                    const MatMulEpilogue& epilogue, const Rows& y) {
  if (x.count == 0) return;
  const RowTiles tiles{x.count, kMaxRows};
  const int64_t lines = (kBlockBytes + 63) / 64;  // a group
  const int64_t share = (lines + tiles.count() - 1) / tiles.count();
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const uint8_t* next = weights.Blocks(p + 1);
    for (int64_t tile = 0; tile < tiles.count(); ++tile) {
      // The first tiles together fetch the next panel; with many tiles the others fetch nothing.
      const int64_t begin = HWY_MIN(tile * share, lines);
      const LinesAhead ahead{next + begin * 64 * x.groups, HWY_MIN(share, lines - begin)};
      RunTile<kMaxRows>(tiles.Rows(tile), x, tiles.Begin(tile), weights.Blocks(p), ahead,
                        OutputAt(epilogue, y, tiles.Begin(tile), p));
    }
  }
}

// One group: 32 floats.
HWY_INLINE float RoundGroup(const float* HWY_RESTRICT x, int16_t* HWY_RESTRICT numbers) {
  const D d;
  const DI di;
  const hn::Rebind<int16_t, D> narrow;
  // As whole numbers, the bits of magnitudes are in the order of the magnitudes, and a NaN is above
  // all of them.
  const VI magnitude = hn::Set(di, 0x7fffffff);
  VI top = hn::Zero(di);
  for (int64_t k = 0; k < kGroup; k += kLanes) {
    top = hn::Max(top, hn::And(hn::BitCast(di, hn::LoadU(d, x + k)), magnitude));
  }
  const float largest = hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(di, top)));
  const float inverse = largest < kSmallest ? 0 : 127 / largest;
  const V factor = hn::Set(d, inverse);
  for (int64_t k = 0; k < kGroup; k += kLanes) {
    const VI whole = hn::NearestInt(hn::Mul(hn::LoadU(d, x + k), factor));
    hn::StoreU(hn::DemoteTo(narrow, whole), narrow, numbers + k);
  }
  return largest < kSmallest ? 0 : largest / 127;
}

void RoundRowImpl(const float* x, int64_t width, int16_t* numbers, float* scales) {
  int64_t k = 0;
  for (; k + kGroup <= width; k += kGroup) *scales++ = RoundGroup(x + k, numbers + k);
  if (k == width) return;
  HWY_ALIGN float last[kGroup] = {};
  for (int64_t i = 0; k + i < width; ++i) last[i] = x[k + i];
  *scales = RoundGroup(last, numbers + k);
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(MatMulInt8Impl);
HWY_EXPORT(RoundRowImpl);

void MatMulInt8(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y) {
  HWY_DYNAMIC_DISPATCH(MatMulInt8Impl)(weights, x, panels, epilogue, y);
}

void RoundRow(const float* x, int64_t width, int16_t* numbers, float* scales) {
  HWY_DYNAMIC_DISPATCH(RoundRowImpl)(x, width, numbers, scales);
}

}  // namespace floe::inference
#endif  // HWY_ONCE
