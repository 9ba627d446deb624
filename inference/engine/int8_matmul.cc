#include "inference/engine/int8_matmul.h"

#include <type_traits>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/int8_matmul.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Need the target that highway.h chose.
#include "inference/engine/int8_steps.inc"
#include "inference/engine/lanes.inc"
#include "inference/engine/tile_output.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

// A group below this has no scale that a float can invert.
constexpr float kSmallest = 1e-30f;

// What a tile fetches for the next panel while it computes: `lines` cache lines a group.
struct LinesAhead {
  const uint8_t* from = nullptr;
  int64_t lines = 0;
};

// A panel's groups, as the tile goes through them.
struct PanelView {
  const uint8_t* numbers = nullptr;
  const uint16_t* scales = nullptr;
};

// MR rows by one panel. A group's sums stay in registers.
template <class Steps, int MR>
HWY_INLINE void Tile(const RoundedRows& x, int64_t row, PanelView panel, LinesAhead ahead,
                     const Output& output) {
  const D d;
  const int64_t stride = x.groups * kRoundedGroupBytes;
  const uint8_t* HWY_RESTRICT numbers = x.numbers + row * stride;
  const float* HWY_RESTRICT scales = x.scales + row * x.groups;
  typename Steps::template Totals<MR> totals;
  for (int64_t group = 0; group < x.groups; ++group) {
    for (int64_t line = 0; line < ahead.lines; ++line, ahead.from += 64) FetchSoon(ahead.from);
    VI sums[MR][kVectors];
    Steps::template SumGroup<MR>(numbers, stride, panel.numbers, sums);
    const hn::Rebind<hwy::float16_t, D> half;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V scale = hn::PromoteTo(
          d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(panel.scales) + v * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) {
        const V unit = hn::Mul(scale, hn::Set(d, scales[r * x.groups + group]));
        totals.Set(r, v, hn::MulAdd(hn::ConvertTo(d, sums[r][v]), unit, totals.Get(r, v)));
      }
    }
    numbers += kRoundedGroupBytes;
    panel.numbers += kGroupBytes;
    panel.scales += kPanelColumns;
  }
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) output.Store(r, v * kLanes, totals.Get(r, v));
  }
}

// MR chosen at run time among 1 to Steps::kMaxRows.
template <class Steps, int MR = Steps::kMaxRows>
HWY_INLINE void RunTile(int rows, const RoundedRows& x, int64_t row, PanelView panel,
                        LinesAhead ahead, const Output& output) {
  if (rows == MR) return Tile<Steps, MR>(x, row, panel, ahead, output);
  if constexpr (MR > 1) RunTile<Steps, MR - 1>(rows, x, row, panel, ahead, output);
}

template <class Steps>
void Multiply(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
              const MatMulEpilogue& epilogue, const Rows& y) {
  const RowTiles tiles{x.count, Steps::kMaxRows};
  // Of a panel, a group of it; the first tiles together fetch the next panel, and with many tiles
  // the others fetch nothing.
  const int64_t lines = (weights.PanelBytes() / 64 + x.groups - 1) / x.groups;
  const int64_t share = (lines + tiles.count() - 1) / tiles.count();
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const uint8_t* next = weights.Numbers(p) + weights.PanelBytes();
    for (int64_t tile = 0; tile < tiles.count(); ++tile) {
      const int64_t begin = HWY_MIN(tile * share, lines);
      const LinesAhead ahead{next + begin * 64 * x.groups, HWY_MIN(share, lines - begin)};
      RunTile<Steps>(tiles.Rows(tile), x, tiles.Begin(tile),
                     {weights.Numbers(p), weights.Scales(p)}, ahead,
                     OutputAt(epilogue, y, tiles.Begin(tile), p));
    }
  }
}

void MatMulInt8Impl(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
                    const MatMulEpilogue& epilogue, const Rows& y) {
  if (x.count == 0) return;
#if FLOE_FOUR_STEPS
  if (weights.together() == StepsTogether::kFour) {
    return Multiply<FourSteps>(weights, x, panels, epilogue, y);
  }
#endif
  Multiply<TwoSteps>(weights, x, panels, epilogue, y);
}

StepsTogether FastestStepsTogetherImpl() {
#if FLOE_FOUR_STEPS
  if (__builtin_cpu_supports("avx512vnni")) return StepsTogether::kFour;
#endif
  return StepsTogether::kTwo;
}

// One group: 32 floats.
template <StepsTogether kTogether>
HWY_INLINE float RoundGroup(const float* HWY_RESTRICT x, uint8_t* HWY_RESTRICT numbers) {
  const D d;
  const DI di;
  using Number = std::conditional_t<kTogether == StepsTogether::kFour, int8_t, int16_t>;
  const hn::Rebind<Number, D> narrow;
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
  VI sum = hn::Zero(di);
  for (int64_t k = 0; k < kGroup; k += kLanes) {
    const VI whole = hn::NearestInt(hn::Mul(hn::LoadU(d, x + k), factor));
    hn::StoreU(hn::DemoteTo(narrow, whole), narrow, reinterpret_cast<Number*>(numbers) + k);
    sum = hn::Add(sum, whole);
  }
  if constexpr (kTogether == StepsTogether::kFour) {
    const int32_t start = hn::GetLane(hn::Neg(hn::ShiftLeft<7>(hn::SumOfLanes(di, sum))));
    hwy::CopyBytes<sizeof(start)>(&start, numbers + kGroup);
  }
  return largest < kSmallest ? 0 : largest / 127;
}

template <StepsTogether kTogether>
void RoundGroups(const float* x, int64_t width, uint8_t* numbers, float* scales) {
  int64_t k = 0;
  for (; k + kGroup <= width; k += kGroup, numbers += kRoundedGroupBytes) {
    *scales++ = RoundGroup<kTogether>(x + k, numbers);
  }
  if (k == width) return;
  HWY_ALIGN float last[kGroup] = {};
  for (int64_t i = 0; k + i < width; ++i) last[i] = x[k + i];
  *scales = RoundGroup<kTogether>(last, numbers);
}

void RoundRowImpl(const float* x, int64_t width, StepsTogether together, uint8_t* numbers,
                  float* scales) {
  if (together == StepsTogether::kFour) {
    RoundGroups<StepsTogether::kFour>(x, width, numbers, scales);
  } else {
    RoundGroups<StepsTogether::kTwo>(x, width, numbers, scales);
  }
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(FastestStepsTogetherImpl);
HWY_EXPORT(MatMulInt8Impl);
HWY_EXPORT(RoundRowImpl);

StepsTogether FastestStepsTogether() { return HWY_DYNAMIC_DISPATCH(FastestStepsTogetherImpl)(); }

void MatMulInt8(const PackedMatrix& weights, const RoundedRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y) {
  HWY_DYNAMIC_DISPATCH(MatMulInt8Impl)(weights, x, panels, epilogue, y);
}

void RoundRow(const float* x, int64_t width, StepsTogether together, uint8_t* numbers,
              float* scales) {
  HWY_DYNAMIC_DISPATCH(RoundRowImpl)(x, width, together, numbers, scales);
}

}  // namespace floe::inference
#endif  // HWY_ONCE
