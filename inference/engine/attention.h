// Attention over a paged KV cache, by the instruction set that kernels.h speaks of and under its
// rule: what comes out for a query depends on that query, its keys and its values alone.
#pragma once

#include <cstdint>
#include <span>

namespace floe::inference {

inline constexpr int64_t kKvBlockTokens = 16;

// How a number of a key or a value is kept. All arithmetic is in 32 bits.
enum class KvType { kF32, kF16 };
inline constexpr int64_t KvNumberBytes(KvType type) { return type == KvType::kF16 ? 2 : 4; }

// Where one sequence's keys and values of one layer and key/value head lie, counted in numbers. A
// block holds 16 tokens: keys as [head_dim][16], values as [16][RoundUp16(head_dim)].
struct KvHeadView {
  KvType type = KvType::kF32;
  void* pool = nullptr;             // on a border of 64 bytes
  const int32_t* blocks = nullptr;  // block numbers of the sequence, in order of position
  int64_t block_stride = 0;         // from one block to the next
  int64_t keys = 0;                 // offset of this head's keys inside a block
  int64_t values = 0;               // offset of this head's values inside a block
};

struct AttentionShape {
  int64_t head_dim = 0;
  float scale = 1;
  int64_t score_stride = 0;  // at least RoundUp16 of the most positions, a multiple of 16
};

// One query head of one token; it sees the first `positions` tokens, at least 1.
struct AttentionQuery {
  const float* query = nullptr;  // head_dim floats
  float* out = nullptr;          // head_dim floats
  int64_t positions = 0;
};

inline constexpr int kMaxAttentionQueries = 6;

// Keeps the key and the value of one position, head_dim numbers each; in 16 bits to the nearest,
// beyond the largest infinite. Thread-safe for different positions.
void StoreKeyValue(const KvHeadView& kv, int64_t head_dim, int64_t position, const float* key,
                   const float* value);

// out = sum over t < positions of softmax(scale * q.k_t)_t * v_t, for 1 to kMaxAttentionQueries
// queries that share keys and values: each is read once for all of them. `scores` is scratch, a row
// of score_stride floats for each query, 64-byte aligned. Thread-safe for disjoint outputs and
// scratch. No argument is checked.
void Attend(std::span<const AttentionQuery> queries, const KvHeadView& kv,
            const AttentionShape& shape, float* scores);

}  // namespace floe::inference
