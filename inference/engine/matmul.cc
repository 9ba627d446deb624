#include "inference/engine/matmul.h"

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/matmul.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Needs the target that highway.h chose.
#include "inference/engine/lanes.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

constexpr int64_t kPrefetchBytes = 2176;  // of a panel of blocks, ahead of what is in use

// Into the second cache: a panel would push what is in use out of the first.
HWY_INLINE void FetchSoon(const void* at) { __builtin_prefetch(at, /*write=*/0, /*locality=*/2); }

// What becomes of the sums of one tile.
struct Output {
  MatMulEpilogue epilogue;  // bias at the tile's first column
  float* y = nullptr;       // the tile's corner
  int64_t stride = 0;

  template <int MR, int kWide>
  HWY_INLINE void Store(const V (&sums)[MR][kWide]) const {
    const D d;
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) {
        float* to = y + r * stride + v * kLanes;
        V sum = sums[r][v];
        if (epilogue.bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, epilogue.bias + v * kLanes));
        if (epilogue.accumulate) sum = hn::Add(sum, hn::LoadU(d, to));
        hn::StoreU(sum, d, to);
      }
    }
  }
};

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
  output.Store(sums);
}

// kLanes numbers of a block as floats, not scaled yet.
HWY_INLINE V Widened(const uint8_t* numbers) {
  const hn::Rebind<int8_t, D> narrow;
  const hn::Rebind<int32_t, D> whole;
  return hn::ConvertTo(
      D(), hn::PromoteTo(whole, hn::LoadU(narrow, reinterpret_cast<const int8_t*>(numbers))));
}

HWY_INLINE void LoadScales(const uint8_t* block, V (&scales)[kVectors]) {
  const hn::Rebind<hwy::float16_t, D> half;
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    scales[v] = hn::PromoteTo(
        D(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(block) + v * kLanes));
  }
}

// The same over NP panels of blocks, widened in registers. Few rows are done as fast as the weights
// come from memory; many share the widening, and can `keep` the panel as floats for the rows that
// follow.
template <int MR, int NP>
struct BlockTile {
  static constexpr int kWide = NP * kVectors;

  BlockTile(const float* x, int64_t x_stride, const uint8_t* w, int64_t depth)
      : x(x), x_stride(x_stride), w(w), depth(depth) {}

  // With kKeep, NP is 1 and `keep` takes depth * 16 floats.
  template <bool kKeep>
  HWY_INLINE void Run(const Output& output, float* HWY_RESTRICT keep) const {
    V sums[MR][kWide];
    SetZero(sums);
    const int64_t groups = model::QuantizationGroups(depth);
    const int64_t panel_bytes = groups * kBlockBytes;
    const uint8_t* block = w;
    for (int64_t begin = 0; begin < depth; begin += model::kQuantizationGroup) {
      V scales[NP][kVectors];
#pragma GCC unroll 8
      for (int p = 0; p < NP; ++p) LoadScales(block + p * panel_bytes, scales[p]);
      const int64_t end = HWY_MIN(depth, begin + model::kQuantizationGroup);
      const uint8_t* numbers = block + kBlockScaleBytes;
      int64_t k = begin;
      for (; k + kStepsALine <= end; k += kStepsALine) {
#pragma GCC unroll 8
        for (int p = 0; p < NP; ++p) {
          hwy::Prefetch(numbers + p * panel_bytes + kPrefetchBytes);
        }
#pragma GCC unroll 4
        for (int i = 0; i < kStepsALine; ++i, numbers += kPanelColumns) {
          Step<kKeep>(k + i, numbers, panel_bytes, scales, keep, sums);
        }
      }
      for (; k < end; ++k, numbers += kPanelColumns) {
        Step<kKeep>(k, numbers, panel_bytes, scales, keep, sums);
      }
      block += kBlockBytes;
    }
    output.Store(sums);
  }

 private:
  static constexpr int64_t kStepsALine = 64 / kPanelColumns;

  template <bool kKeep>
  HWY_INLINE void Step(int64_t k, const uint8_t* HWY_RESTRICT numbers, int64_t panel_bytes,
                       const V (&scales)[NP][kVectors], float* HWY_RESTRICT keep,
                       V (&sums)[MR][kWide]) const {
    V b[kWide];
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) {
      const uint8_t* from = numbers + (v / kVectors) * panel_bytes + (v % kVectors) * kLanes;
      b[v] = hn::Mul(Widened(from), scales[v / kVectors][v % kVectors]);
      if constexpr (kKeep) hn::Store(b[v], D(), keep + k * kPanelColumns + v * kLanes);
    }
    MultiplyStep(x + k, x_stride, b, sums);
  }

  const float* x;
  int64_t x_stride;
  const uint8_t* w;
  int64_t depth;
};

// Registers bound a tile: one accumulator a row and vector, the vectors of a panel row, one
// broadcast.
constexpr int kMaxRows = HWY_MAX(1, HWY_MIN(8, (kRegisters - kVectors - 1) / kVectors));
// Fewer independent chains than this do not hide the latency of an FMA.
constexpr int kMinChains = 6;
// More rows than this take one panel of blocks at a time.
constexpr int kMaxBlockRows = HWY_MIN(2, kMaxRows);

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
          const Rows& y, float* scratch)
      : weights_(weights), x_(x), epilogue_(epilogue), y_(y), scratch_(scratch) {}

  void Run(PanelRange panels) const {
    if (x_.count == 0) return;
    if (weights_.quantized()) {
      return x_.count > kMaxBlockRows ? RunWidened(panels) : RunBlocks<1>(panels);
    }
    int64_t p = panels.begin;
    if (x_.count <= kMaxRows) p = RunFewRows<1>(panels);
    const int64_t bytes = weights_.in() * kPanelColumns * static_cast<int64_t>(sizeof(float));
    for (; p < panels.end; ++p) RunPanel(weights_.Panel(p), p, weights_.Panel(p + 1), bytes);
  }

 private:
  Output At(int64_t row, int64_t panel) const {
    const int64_t column = panel * kPanelColumns;
    MatMulEpilogue epilogue = epilogue_;
    if (epilogue.bias != nullptr) epilogue.bias += column;
    return {epilogue, y_.data + row * y_.stride + column, y_.stride};
  }
  const float* Row(int64_t row) const { return x_.data + row * x_.stride; }

  // All rows by one panel of floats. Together the tiles fetch `next`, so that memory works while
  // they compute.
  void RunPanel(const float* panel, int64_t p, const void* next, int64_t next_bytes) const {
    const int64_t share = next_bytes / num_tiles();
    const int64_t step = (share + weights_.in() - 1) / weights_.in();
    for (int64_t tile = 0; tile < num_tiles(); ++tile) {
      const Ahead ahead{static_cast<const char*>(next) + tile * share, step};
      RunTile<kMaxRows>(TileRows(tile), TileBegin(tile), panel, ahead, p);
    }
  }

  // Tiles of nearly equal height: a last one of few rows would cost as much as a full one.
  int64_t num_tiles() const { return (x_.count + kMaxRows - 1) / kMaxRows; }
  int64_t TileBegin(int64_t tile) const { return x_.count * tile / num_tiles(); }
  int TileRows(int64_t tile) const {
    return static_cast<int>(TileBegin(tile + 1) - TileBegin(tile));
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

  template <int MR>
  HWY_INLINE void RunBlocks(PanelRange panels) const {
    constexpr int kPanels = MR == 1 ? 4 : 2;
    if constexpr (MR < kMaxBlockRows) {
      if (x_.count > MR) return RunBlocks<MR + 1>(panels);
    }
    int64_t p = panels.begin;
    for (; p + kPanels <= panels.end; p += kPanels) {
      BlockTile<MR, kPanels>(Row(0), x_.stride, weights_.Blocks(p), weights_.in())
          .template Run<false>(At(0, p), nullptr);
    }
    for (; p < panels.end; ++p) RunFirstTile<MR, false>(MR, p);
  }

  // The first tile widens a panel, for itself and for those that follow.
  void RunWidened(PanelRange panels) const {
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      if (num_tiles() == 1) {
        RunFirstTile<kMaxRows, false>(TileRows(0), p);
        continue;
      }
      RunFirstTile<kMaxRows, true>(TileRows(0), p);
      for (int64_t tile = 1; tile < num_tiles(); ++tile) {
        // The next panel's first tile fetches for itself; this only names an address that is there.
        const char* next = reinterpret_cast<const char*>(weights_.Blocks(p + 1));
        RunTile<kMaxRows>(TileRows(tile), TileBegin(tile), scratch_, {next, 0}, p);
      }
    }
  }

  // MR chosen at run time among 1 to kMaxRows.
  template <int MR, bool kKeep>
  HWY_INLINE void RunFirstTile(int rows, int64_t p) const {
    if (rows == MR) {
      return BlockTile<MR, 1>(Row(0), x_.stride, weights_.Blocks(p), weights_.in())
          .template Run<kKeep>(At(0, p), scratch_);
    }
    if constexpr (MR > 1) RunFirstTile<MR - 1, kKeep>(rows, p);
  }

  const PackedMatrix& weights_;
  const ConstRows& x_;
  const MatMulEpilogue& epilogue_;
  const Rows& y_;
  float* const scratch_;
};

void MatMulImpl(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y, float* scratch) {
  Product(weights, x, epilogue, y, scratch).Run(panels);
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(MatMulImpl);

void MatMul(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
            const MatMulEpilogue& epilogue, const Rows& y, float* scratch) {
  HWY_DYNAMIC_DISPATCH(MatMulImpl)(weights, x, panels, epilogue, y, scratch);
}

}  // namespace floe::inference
#endif  // HWY_ONCE
