#include "inference/engine/kernels.h"

#include <cmath>
#include <cstring>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/kernels.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Needs the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVectors = 16 / kLanes;  // vectors a panel row

constexpr int64_t kPrefetchRows = 16;  // of a panel, ahead of the one in use

// MR rows by NP panels, over the whole of k. Every accumulator is one chain in ascending k, so MR
// and NP change the speed and never a bit of the result.
template <int MR, int NP>
HWY_INLINE void Tile(const float* HWY_RESTRICT x, int64_t x_stride, const float* HWY_RESTRICT w,
                     int64_t depth, const MatMulEpilogue& epilogue, float* HWY_RESTRICT y,
                     int64_t y_stride) {
  const D d;
  constexpr int kWide = NP * kVectors;
  V acc[MR][kWide];
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) acc[r][v] = hn::Zero(d);
  }
  const int64_t panel_floats = depth * kPanelColumns;
  for (int64_t k = 0; k < depth; ++k) {
    V b[kWide];
    // One stream of weights under much arithmetic: the machine's own look-ahead comes too late.
    if constexpr (NP == 1) hwy::Prefetch(w + (k + kPrefetchRows) * kPanelColumns);
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) {
      b[v] = hn::Load(
          d, w + (v / kVectors) * panel_floats + k * kPanelColumns + (v % kVectors) * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const V a = hn::Set(d, x[r * x_stride + k]);
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) acc[r][v] = hn::MulAdd(a, b[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) {
      float* to = y + r * y_stride + v * kLanes;
      V sum = acc[r][v];
      if (epilogue.bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, epilogue.bias + v * kLanes));
      if (epilogue.accumulate) sum = hn::Add(sum, hn::LoadU(d, to));
      hn::StoreU(sum, d, to);
    }
  }
}

// Registers bound a tile: one accumulator a row and vector, the vectors of a panel row, one
// broadcast.
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
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

template <int MR, int NP>
HWY_INLINE void TileAt(const PackedMatrix& weights, const ConstRows& x, int64_t row, int64_t panel,
                       MatMulEpilogue epilogue, const Rows& y) {
  const int64_t column = panel * kPanelColumns;
  if (epilogue.bias != nullptr) epilogue.bias += column;
  Tile<MR, NP>(x.data + row * x.stride, x.stride, weights.Panel(panel), weights.in(), epilogue,
               y.data + row * y.stride + column, y.stride);
}

// MR rows from `row` on, MR chosen at run time among 1 to kMaxRows.
template <int MR>
HWY_INLINE void RowsTimesPanel(int rows, const PackedMatrix& weights, const ConstRows& x,
                               int64_t row, int64_t panel, const MatMulEpilogue& epilogue,
                               const Rows& y) {
  if (rows == MR) return TileAt<MR, 1>(weights, x, row, panel, epilogue, y);
  if constexpr (MR > 1) RowsTimesPanel<MR - 1>(rows, weights, x, row, panel, epilogue, y);
}

// All rows fit one tile that is too small for one panel: several panels at once, then the rest.
template <int MR>
HWY_INLINE int64_t FewRowsTimesPanels(const PackedMatrix& weights, const ConstRows& x,
                                      PanelRange panels, const MatMulEpilogue& epilogue,
                                      const Rows& y) {
  constexpr int kPanels = PanelsFor<MR>();
  if constexpr (MR < kMaxRows) {
    if (x.count > MR) return FewRowsTimesPanels<MR + 1>(weights, x, panels, epilogue, y);
  }
  int64_t p = panels.begin;
  if constexpr (kPanels > 1) {
    for (; p + kPanels <= panels.end; p += kPanels) {
      TileAt<MR, kPanels>(weights, x, 0, p, epilogue, y);
    }
  }
  return p;
}

void MatMulImpl(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
                const MatMulEpilogue& epilogue, const Rows& y) {
  if (x.count == 0) return;
  int64_t p = panels.begin;
  if (x.count <= kMaxRows) p = FewRowsTimesPanels<1>(weights, x, panels, epilogue, y);
  // Tiles of nearly equal height: a last one of few rows would cost as much as a full one.
  const int64_t tiles = (x.count + kMaxRows - 1) / kMaxRows;
  for (; p < panels.end; ++p) {
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t row = x.count * tile / tiles;
      const int rows = static_cast<int>(x.count * (tile + 1) / tiles - row);
      RowsTimesPanel<kMaxRows>(rows, weights, x, row, p, epilogue, y);
    }
  }
}

// The sum of 16 lanes as a tree that is the same for every vector width.
HWY_INLINE float SumLanes(const V* acc) {
  const D d;
  HWY_ALIGN float lane[16];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, lane + v * kLanes);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  }
  return lane[0];
}

void RmsNormImpl(const float* x, const float* gain, float eps, int64_t width, float* y) {
  const D d;
  const int64_t whole = width / 16 * 16;
  V acc[kVectors];
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V value = hn::LoadU(d, x + i + v * kLanes);
      acc[v] = hn::MulAdd(value, value, acc[v]);
    }
  }
  float sum = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) sum += x[i] * x[i];
  const float inverse = 1.0f / std::sqrt(sum / static_cast<float>(width) + eps);
  const V scale = hn::Set(d, inverse);
  for (int64_t i = 0; i < whole; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), scale), hn::LoadU(d, gain + i)), d, y + i);
  }
  for (int64_t i = whole; i < width; ++i) y[i] = x[i] * inverse * gain[i];
}

void LayerNormImpl(const float* x, const LayerNormParameters& p, int64_t width, float* y) {
  const D d;
  const int64_t whole = width / 16 * 16;
  V acc[kVectors];
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      acc[v] = hn::Add(acc[v], hn::LoadU(d, x + i + v * kLanes));
    }
  }
  float sum = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(width);
  const V centre = hn::Set(d, mean);
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const V apart = hn::Sub(hn::LoadU(d, x + i + v * kLanes), centre);
      acc[v] = hn::MulAdd(apart, apart, acc[v]);
    }
  }
  float squares = SumLanes(acc);
  for (int64_t i = whole; i < width; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(width) + p.eps);
  const V scale = hn::Set(d, inverse);
  for (int64_t i = 0; i < whole; i += kLanes) {
    const V normed = hn::Mul(hn::Sub(hn::LoadU(d, x + i), centre), scale);
    hn::StoreU(hn::MulAdd(normed, hn::LoadU(d, p.gain + i), hn::LoadU(d, p.shift + i)), d, y + i);
  }
  for (int64_t i = whole; i < width; ++i) y[i] = (x[i] - mean) * inverse * p.gain[i] + p.shift[i];
}

void SwiGluImpl(const float* gate, const float* up, int64_t width, float* y) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V limit = hn::Set(d, 88.0f);  // where exp still is a number
  for (int64_t i = 0; i < width; i += kLanes) {
    const V g = hn::LoadU(d, gate + i);
    const V silu = hn::Div(g, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(g), limit))));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, up + i)), d, y + i);
  }
}

// 0.5 (1 + tanh(z)) = 1 / (1 + exp(-2z)).
void GeluTanhImpl(const float* x, int64_t width, float* y) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V limit = hn::Set(d, 88.0f);                           // where exp still is a number
  const V minus_two_roots = hn::Set(d, -1.5957691216057308f);  // -2 sqrt(2 / pi)
  const V cubic = hn::Set(d, 0.044715f);
  for (int64_t i = 0; i < width; i += kLanes) {
    const V value = hn::LoadU(d, x + i);
    const V cube = hn::Mul(hn::Mul(value, value), value);
    const V exponent = hn::Mul(hn::MulAdd(cube, cubic, value), minus_two_roots);
    hn::StoreU(hn::Div(value, hn::Add(one, hn::Exp(d, hn::Min(exponent, limit)))), d, y + i);
  }
}

// scores[16 * (block .. block + NB)] = scale * q.k
template <int NB>
HWY_INLINE void ScoreBlocks(const float* HWY_RESTRICT query, const KvHeadView& kv, int64_t block,
                            const AttentionShape& shape, float* HWY_RESTRICT scores) {
  const D d;
  constexpr int kWide = NB * kVectors;
  const float* keys[NB];
  V acc[kWide];
#pragma GCC unroll 8
  for (int b = 0; b < NB; ++b) {
    keys[b] = kv.pool + kv.blocks[block + b] * kv.block_stride + kv.keys;
  }
#pragma GCC unroll 64
  for (int v = 0; v < kWide; ++v) acc[v] = hn::Zero(d);
  for (int64_t i = 0; i < shape.head_dim; ++i) {
    const V q = hn::Set(d, query[i]);
#pragma GCC unroll 64
    for (int v = 0; v < kWide; ++v) {
      const float* at = keys[v / kVectors] + i * kKvBlockTokens + (v % kVectors) * kLanes;
      acc[v] = hn::MulAdd(q, hn::Load(d, at), acc[v]);
    }
  }
  const V scale = hn::Set(d, shape.scale);
#pragma GCC unroll 64
  for (int v = 0; v < kWide; ++v) {
    hn::Store(hn::Mul(acc[v], scale), d, scores + block * kKvBlockTokens + v * kLanes);
  }
}

// In place: exp(score - max); returns 1 / sum. Lanes beyond `positions` become 0.
HWY_INLINE float SoftmaxNumerators(int64_t positions, float* scores) {
  const D d;
  const int64_t padded = (positions + 15) / 16 * 16;
  for (int64_t t = positions; t < padded; ++t) scores[t] = -1e30f;
  V top = hn::Load(d, scores);
  for (int64_t t = kLanes; t < padded; t += kLanes) top = hn::Max(top, hn::Load(d, scores + t));
  HWY_ALIGN float lanes[16];
  hn::Store(top, d, lanes);
  float max = lanes[0];
  for (int i = 1; i < kLanes; ++i) max = lanes[i] > max ? lanes[i] : max;
  const V shift = hn::Set(d, max);
  V acc[kVectors];
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int64_t t = 0; t < padded; t += 16) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      float* at = scores + t + v * kLanes;
      const V e = hn::Exp(d, hn::Sub(hn::Load(d, at), shift));
      hn::Store(e, d, at);
      acc[v] = hn::Add(acc[v], e);
    }
  }
  return 1.0f / SumLanes(acc);
}

// out[16 * C floats] = inverse * sum over t ascending of p[t] * v[t][column ..]
template <int C>
HWY_INLINE void WeighValues(const float* HWY_RESTRICT p, const KvHeadView& kv,
                            const AttentionShape& shape, int64_t column, float inverse,
                            float* HWY_RESTRICT out) {
  const D d;
  constexpr int kWide = C * kVectors;
  const int64_t stride = (shape.head_dim + 15) / 16 * 16;
  V acc[kWide];
#pragma GCC unroll 64
  for (int v = 0; v < kWide; ++v) acc[v] = hn::Zero(d);
  for (int64_t t = 0; t < shape.positions; t += kKvBlockTokens) {
    const float* values =
        kv.pool + kv.blocks[t / kKvBlockTokens] * kv.block_stride + kv.values + column;
    const int64_t n = HWY_MIN(kKvBlockTokens, shape.positions - t);
    for (int64_t i = 0; i < n; ++i) {
      const V weight = hn::Set(d, p[t + i]);
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) {
        acc[v] = hn::MulAdd(weight, hn::Load(d, values + i * stride + v * kLanes), acc[v]);
      }
    }
  }
  const V scale = hn::Set(d, inverse);
#pragma GCC unroll 64
  for (int v = 0; v < kWide; ++v) hn::StoreU(hn::Mul(acc[v], scale), d, out + v * kLanes);
}

void AttendImpl(const float* query, const KvHeadView& kv, const AttentionShape& shape,
                float* scores, float* out) {
  const int64_t blocks = (shape.positions + kKvBlockTokens - 1) / kKvBlockTokens;
  int64_t b = 0;
  for (; b + 4 <= blocks; b += 4) ScoreBlocks<4>(query, kv, b, shape, scores);
  for (; b < blocks; ++b) ScoreBlocks<1>(query, kv, b, shape, scores);
  const float inverse = SoftmaxNumerators(shape.positions, scores);
  int64_t column = 0;
  for (; column + 64 <= shape.head_dim; column += 64) {
    WeighValues<4>(scores, kv, shape, column, inverse, out + column);
  }
  for (; column + 16 <= shape.head_dim; column += 16) {
    WeighValues<1>(scores, kv, shape, column, inverse, out + column);
  }
  if (column < shape.head_dim) {
    HWY_ALIGN float tail[16];
    WeighValues<1>(scores, kv, shape, column, inverse, tail);
    std::memcpy(out + column, tail, static_cast<size_t>(shape.head_dim - column) * sizeof(float));
  }
}

const char* TargetImpl() { return hwy::TargetName(HWY_TARGET); }

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(MatMulImpl);
HWY_EXPORT(RmsNormImpl);
HWY_EXPORT(LayerNormImpl);
HWY_EXPORT(SwiGluImpl);
HWY_EXPORT(GeluTanhImpl);
HWY_EXPORT(AttendImpl);
HWY_EXPORT(TargetImpl);

void MatMul(const PackedMatrix& weights, const ConstRows& x, PanelRange panels,
            const MatMulEpilogue& epilogue, const Rows& y) {
  HWY_DYNAMIC_DISPATCH(MatMulImpl)(weights, x, panels, epilogue, y);
}

void RmsNorm(const float* x, const float* gain, float eps, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(RmsNormImpl)(x, gain, eps, width, y);
}

void LayerNorm(const float* x, const LayerNormParameters& parameters, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(LayerNormImpl)(x, parameters, width, y);
}

void SwiGlu(const float* gate, const float* up, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(SwiGluImpl)(gate, up, width, y);
}

void GeluTanh(const float* x, int64_t width, float* y) {
  HWY_DYNAMIC_DISPATCH(GeluTanhImpl)(x, width, y);
}

void Attend(const float* query, const KvHeadView& kv, const AttentionShape& shape, float* scores,
            float* out) {
  HWY_DYNAMIC_DISPATCH(AttendImpl)(query, kv, shape, scores, out);
}

const char* KernelTarget() { return HWY_DYNAMIC_DISPATCH(TargetImpl)(); }

}  // namespace floe::inference
#endif  // HWY_ONCE
