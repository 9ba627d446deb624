#include "inference/engine/matmul.h"

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/matmul.cc"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Need the target that highway.h chose.
#include "inference/engine/lanes.inc"
#include "inference/engine/tile_output.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

template <int MR, int kWide>
HWY_INLINE void SetZero(V (&sums)[MR][kWide]) {
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) sums[r][v] = hn::Zero(D());
  }
}

// One step along k: MR rows of x times the weights of NP panels.
template <int MR, int kWide>
HWY_INLINE void MultiplyStep(const float* HWY_RESTRICT x, int64_t x_stride, const V (&w)[kWide],
                             V (&sums)[MR][kWide]) {
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
    const V a = hn::Set(D(), x[r * x_stride]);
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) sums[r][v] = hn::MulAdd(a, w[v], sums[r][v]);
  }
}

// What a tile fetches for a later one while it computes: `step` bytes a step along k.
struct Ahead {
  const char* from = nullptr;
  int64_t step = 0;
};

// MR rows by NP panels of floats, over the whole of k. Every sum is one chain in ascending k, so MR
// and NP change the speed and never a bit of the result.
template <int MR, int NP>
HWY_INLINE void Tile(const float* HWY_RESTRICT x, int64_t x_stride, const float* HWY_RESTRICT w,
                     int64_t depth, Ahead ahead, const Output& output) {
  constexpr int kWide = NP * kVectors;
  V sums[MR][kWide];
  SetZero(sums);
  const int64_t panel_floats = depth * kPanelColumns;
  for (int64_t k = 0; k < depth; ++k) {
    V b[kWide];
    if constexpr (NP == 1) {
      FetchSoon(ahead.from);
      ahead.from += ahead.step;
    }
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) {
      b[v] = hn::Load(
          D(), w + (v / kVectors) * panel_floats + k * kPanelColumns + (v % kVectors) * kLanes);
    }
    MultiplyStep(x + k, x_stride, b, sums);
  }
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) output.Store(r, v * kLanes, sums[r][v]);
  }
}

// Registers bound a tile: one accumulator a row and vector, the vectors of a panel row, one
// broadcast.
constexpr int kMaxRows = HWY_MAX(1, HWY_MIN(8, (kRegisters - kVectors - 1) / kVectors));
// Fewer independent chains than this do not hide the latency of an FMA.
constexpr int kMinChains = 6;

// Panels that a tile of MR rows takes at once: enough chains, as far as registers go.
template <int MR>
constexpr int PanelsFor() {
  int panels = 1;
  while (MR * panels * kVectors < kMinChains &&
         2 * (MR + 1) * panels * kVectors + 1 <= kRegisters) {
    panels *= 2;
  }
  return panels;
}

// One product; the panels that a piece of work covers.
class Product {
 public:
  Product(const PackedMatrix& weights, const ConstRows& x, const MatMulEpilogue& epilogue,
          const Rows& y)
      : weights_(weights), x_(x), epilogue_(epilogue), y_(y), tiles_{x.count, kMaxRows} {}

  void Run(PanelRange panels) const {
    if (x_.count == 0) return;
    int64_t p = panels.begin;
    if (x_.count <= kMaxRows) p = RunFewRows<1>(panels);
    const int64_t bytes = weights_.in() * kPanelColumns * static_cast<int64_t>(sizeof(float));
    for (; p < panels.end; ++p) RunPanel(weights_.Panel(p), p, weights_.Panel(p + 1), bytes);
  }

 private:
  Output At(int64_t row, int64_t panel) const { return OutputAt(epilogue_, y_, row, panel); }
  const float* Row(int64_t row) const { return x_.data + row * x_.stride; }

  // All rows by one panel of floats. Together the tiles fetch `next`, so that memory works while
  // they compute.
  void RunPanel(const float* panel, int64_t p, const void* next, int64_t next_bytes) const {
    const int64_t share = next_bytes / tiles_.count();
    const int64_t step = (share + weights_.in() - 1) / weights_.in();
    for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
      const Ahead ahead{static_cast<const char*>(next) + tile * share, step};
      RunTile<kMaxRows>(tiles_.Rows(tile), tiles_.Begin(tile), panel, ahead, p);
    }
  }

  // MR chosen at run time among 1 to kMaxRows.
  template <int MR>
  HWY_INLINE void RunTile(int rows, int64_t row, const float* panel, Ahead ahead, int64_t p) const {
    if (rows == MR) {
      return Tile<MR, 1>(Row(row), x_.stride, panel, weights_.in(), ahead, At(row, p));
    }
    if constexpr (MR > 1) RunTile<MR - 1>(rows, row, panel, ahead, p);
  }

  // All rows fit one tile that is too small for one panel: several panels at once, and where the
  // rest begins.
  template <int MR>
  HWY_INLINE int64_t RunFewRows(PanelRange panels) const {
    constexpr int kPanels = PanelsFor<MR>();
    if constexpr (MR < kMaxRows) {
      if (x_.count > MR) return RunFewRows<MR + 1>(panels);
    }
    int64_t p = panels.begin;
    if constexpr (kPanels > 1) {
      for (; p + kPanels <= panels.end; p += kPanels) {
        Tile<MR, kPanels>(Row(0), x_.stride, weights_.Panel(p), weights_.in(), {}, At(0, p));
      }
    }
    return p;
  }

  const PackedMatrix& weights_;
  const ConstRows& x_;
  const MatMulEpilogue& epilogue_;
  const Rows& y_;
  const RowTiles tiles_;
};

void MatMulImpl(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y) {
  Product(weights, x, epilogue, y).Run(panels);
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(MatMulImpl);

void MatMul(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
            const MatMulEpilogue& epilogue, const Rows& y) {
  HWY_DYNAMIC_DISPATCH(MatMulImpl)(weights, x, panels, epilogue, y);
}

}  // namespace floe::inference
#endif  // HWY_ONCE
