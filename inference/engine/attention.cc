#include "inference/engine/attention.h"

#include <cstring>

// Scalable vectors cannot stand in arrays; such machines use their fixed-width set.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "inference/engine/attention.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // includes this file once a target
#include "hwy/highway.h"
// Needs the target that highway.h chose.
#include "hwy/contrib/math/math-inl.h"

#include "inference/engine/lanes.inc"

HWY_BEFORE_NAMESPACE();
namespace floe::inference::HWY_NAMESPACE {

HWY_INLINE V LoadNumbers(const float* from) { return hn::Load(D(), from); }
HWY_INLINE V LoadNumbers(const hwy::float16_t* from) {
  return hn::PromoteTo(D(), hn::Load(hn::Rebind<hwy::float16_t, D>(), from));
}

// N queries over shared keys and values. Every score is one chain over head_dim, every output one
// chain over positions, both ascending: N and the order of the loops change the speed alone.
template <int N, typename Number>
class Attention {
 public:
  Attention(const AttentionQuery* queries, const KvHeadView& kv, const AttentionShape& shape,
            float* scores)
      : queries_(queries), kv_(kv), shape_(shape), scores_(scores) {}

  void Run() const {
    int64_t most = 0;
    for (int n = 0; n < N; ++n) most = HWY_MAX(most, queries_[n].positions);
    const int64_t blocks = (most + kKvBlockTokens - 1) / kKvBlockTokens;
    int64_t block = 0;
    for (; block + kBlocks <= blocks; block += kBlocks) Score<kBlocks>(block, blocks);
    for (; block < blocks; ++block) Score<1>(block, blocks);
    float inverse[N];
    for (int n = 0; n < N; ++n) {
      inverse[n] = SoftmaxNumerators(queries_[n].positions, scores_ + n * shape_.score_stride);
    }
    int64_t column = 0;
    const int64_t width = shape_.head_dim;
    for (; column + 16 * kColumns <= width; column += 16 * kColumns) {
      WeighValues<kColumns>(column, inverse);
    }
    for (; column < width; column += 16) WeighValues<1>(column, inverse);
  }

 private:
  // What registers hold beside each other: more of the cache at once when there are few queries.
  static constexpr bool Fits(int vectors) { return (N * vectors + 1) * kVectors + 1 <= kRegisters; }
  static constexpr int kBlocks = Fits(4) ? 4 : Fits(2) ? 2 : 1;
  static constexpr int kColumns = kBlocks;

  // scale * q.k for the tokens of NB blocks. Scores beyond a query's positions are not used. Blocks
  // lie anywhere in the pool, where the machine does not look ahead by itself: those that follow,
  // and then the first values, are fetched meanwhile.
  template <int NB>
  HWY_INLINE void Score(int64_t block, int64_t blocks) const {
    const D d;
    constexpr int kWide = NB * kVectors;
    const Number* keys[NB];
    const Number* soon[NB];
    V acc[N][kWide];
#pragma GCC unroll 8
    for (int b = 0; b < NB; ++b) {
      keys[b] = KeysOf(block + b);
      const int64_t next = block + NB + b;
      soon[b] =
          next < blocks ? KeysOf(next) : ValuesAt(b * kKvBlockTokens % (blocks * kKvBlockTokens));
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) acc[n][v] = hn::Zero(d);
    }
    for (int64_t i = 0; i < shape_.head_dim; ++i) {
#pragma GCC unroll 8
      for (int b = 0; b < NB; ++b) hwy::Prefetch(soon[b] + i * kKvBlockTokens);
      V key[kWide];
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) {
        key[v] = LoadNumbers(keys[v / kVectors] + i * kKvBlockTokens + (v % kVectors) * kLanes);
      }
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const V q = hn::Set(d, queries_[n].query[i]);
#pragma GCC unroll 64
        for (int v = 0; v < kWide; ++v) acc[n][v] = hn::MulAdd(q, key[v], acc[n][v]);
      }
    }
    const V scale = hn::Set(d, shape_.scale);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      float* to = scores_ + n * shape_.score_stride + block * kKvBlockTokens;
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) {
        hn::Store(hn::Mul(acc[n][v], scale), d, to + v * kLanes);
      }
    }
  }

  // In place: exp(score - max); returns 1 / sum. Lanes beyond `positions` become 0.
  static float SoftmaxNumerators(int64_t positions, float* scores) {
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

  // out[column .. column + 16 * C) = inverse * sum over t of p[t] * v[t]. A query reads no value
  // beyond its positions: what lies there may be another sequence's.
  template <int C>
  HWY_INLINE void WeighValues(int64_t column, const float* inverse) const {
    const D d;
    constexpr int kWide = C * kVectors;
    V acc[N][kWide];
    int64_t shared = queries_[0].positions;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      shared = HWY_MIN(shared, queries_[n].positions);
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) acc[n][v] = hn::Zero(d);
    }
    for (int64_t t = 0; t < shared; t += kKvBlockTokens) {
      const Number* values = ValuesAt(t) + column;
      const int64_t end = HWY_MIN(shared, t + kKvBlockTokens);
      const Number* soon = ValuesAt(end < shared ? end : t) + column;
      for (int64_t u = t; u < end; ++u, values += ValueStride(), soon += ValueStride()) {
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) hwy::Prefetch(soon + c * 16);
        V value[kWide];
#pragma GCC unroll 64
        for (int v = 0; v < kWide; ++v) value[v] = LoadNumbers(values + v * kLanes);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
          const V weight = hn::Set(d, scores_[n * shape_.score_stride + u]);
#pragma GCC unroll 64
          for (int v = 0; v < kWide; ++v) acc[n][v] = hn::MulAdd(weight, value[v], acc[n][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      for (int64_t t = shared; t < queries_[n].positions; ++t) {
        const Number* values = ValuesAt(t) + (t % kKvBlockTokens) * ValueStride() + column;
        const V weight = hn::Set(d, scores_[n * shape_.score_stride + t]);
#pragma GCC unroll 64
        for (int v = 0; v < kWide; ++v) {
          acc[n][v] = hn::MulAdd(weight, LoadNumbers(values + v * kLanes), acc[n][v]);
        }
      }
      const V scale = hn::Set(d, inverse[n]);
      HWY_ALIGN float out[16 * C];
#pragma GCC unroll 64
      for (int v = 0; v < kWide; ++v) hn::Store(hn::Mul(acc[n][v], scale), d, out + v * kLanes);
      const int64_t width = HWY_MIN(int64_t{16 * C}, shape_.head_dim - column);
      std::memcpy(queries_[n].out + column, out, static_cast<size_t>(width) * sizeof(float));
    }
  }

  int64_t ValueStride() const { return (shape_.head_dim + 15) / 16 * 16; }
  const Number* Pool() const { return static_cast<const Number*>(kv_.pool); }
  const Number* KeysOf(int64_t block) const {
    return Pool() + kv_.blocks[block] * kv_.block_stride + kv_.keys;
  }
  // Of the block that holds position t.
  const Number* ValuesAt(int64_t t) const {
    return Pool() + kv_.blocks[t / kKvBlockTokens] * kv_.block_stride + kv_.values;
  }

  const AttentionQuery* queries_;
  const KvHeadView& kv_;
  const AttentionShape& shape_;
  float* scores_;
};

template <typename Number, int N = kMaxAttentionQueries>
void AttendTo(int count, const AttentionQuery* queries, const KvHeadView& kv,
              const AttentionShape& shape, float* scores) {
  if (count == N) return Attention<N, Number>(queries, kv, shape, scores).Run();
  if constexpr (N > 1) AttendTo<Number, N - 1>(count, queries, kv, shape, scores);
}

void AttendImpl(const AttentionQuery* queries, int count, const KvHeadView& kv,
                const AttentionShape& shape, float* scores) {
  if (kv.type == KvType::kF16) {
    AttendTo<hwy::float16_t>(count, queries, kv, shape, scores);
  } else {
    AttendTo<float>(count, queries, kv, shape, scores);
  }
}

// `count` floats, in the form in which they are kept.
HWY_INLINE void Narrow(const float* from, int64_t count, float* to) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}
HWY_INLINE void Narrow(const float* from, int64_t count, hwy::float16_t* to) {
  const D d;
  const hn::Rebind<hwy::float16_t, D> narrow;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::DemoteTo(narrow, hn::LoadU(d, from + i)), narrow, to + i);
  }
  if (i == count) return;
  HWY_ALIGN float rest[16] = {};
  HWY_ALIGN hwy::float16_t narrowed[16];
  std::memcpy(rest, from + i, static_cast<size_t>(count - i) * sizeof(float));
  hn::Store(hn::DemoteTo(narrow, hn::Load(d, rest)), narrow, narrowed);
  std::memcpy(to + i, narrowed, static_cast<size_t>(count - i) * sizeof(hwy::float16_t));
}

template <typename Number>
void StoreNumbers(const KvHeadView& kv, int64_t head_dim, int64_t position, const float* key,
                  const float* value) {
  Number* block =
      static_cast<Number*>(kv.pool) + kv.blocks[position / kKvBlockTokens] * kv.block_stride;
  const int64_t slot = position % kKvBlockTokens;
  Narrow(value, head_dim, block + kv.values + slot * ((head_dim + 15) / 16 * 16));
  Number* keys = block + kv.keys + slot;
  Number piece[64];
  for (int64_t begin = 0; begin < head_dim; begin += 64) {
    const int64_t count = HWY_MIN(int64_t{64}, head_dim - begin);
    Narrow(key + begin, count, piece);
    for (int64_t i = 0; i < count; ++i) keys[(begin + i) * kKvBlockTokens] = piece[i];
  }
}

void StoreKeyValueImpl(const KvHeadView& kv, int64_t head_dim, int64_t position, const float* key,
                       const float* value) {
  if (kv.type == KvType::kF16) {
    StoreNumbers<hwy::float16_t>(kv, head_dim, position, key, value);
  } else {
    StoreNumbers<float>(kv, head_dim, position, key, value);
  }
}

}  // namespace floe::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace floe::inference {

HWY_EXPORT(AttendImpl);
HWY_EXPORT(StoreKeyValueImpl);

void Attend(std::span<const AttentionQuery> queries, const KvHeadView& kv,
            const AttentionShape& shape, float* scores) {
  HWY_DYNAMIC_DISPATCH(AttendImpl)
  (queries.data(), static_cast<int>(queries.size()), kv, shape, scores);
}

void StoreKeyValue(const KvHeadView& kv, int64_t head_dim, int64_t position, const float* key,
                   const float* value) {
  HWY_DYNAMIC_DISPATCH(StoreKeyValueImpl)(kv, head_dim, position, key, value);
}

}  // namespace floe::inference
#endif  // HWY_ONCE
