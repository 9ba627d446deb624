// Where a model's parameters, arithmetic and memory to serve go, counted from its blueprint alone.
// Pure functions; every one requires Validate().ok(), whose bounds keep the counts inside 64 bits.
#pragma once

#include <cstdint>

#include "model/blueprint.h"

namespace floe::model {

// Parameters a component. Each tensor of TensorsOf() is counted once, in one component.
struct ParameterCounts {
  int64_t embeddings = 0;  // token table, and GPT-2's position table
  int64_t attention = 0;   // q, k, v and output matrices
  int64_t ffn = 0;
  int64_t norms = 0;   // scales, and GPT-2's shifts
  int64_t head = 0;    // 0 where it is the transposed embedding
  int64_t biases = 0;  // of the linear layers

  int64_t Total() const { return embeddings + attention + ffn + norms + head + biases; }
  bool operator==(const ParameterCounts&) const = default;
};
ParameterCounts CountParameters(const Blueprint& blueprint);

// Floating-point operations (a multiply-add is two) to process one token that attends to `attended`
// tokens: 2 a weight of every matrix product, the head included though it be tied, plus
// 4 * L * H * head_dim * attended for scores and weighted values. Source: Chowdhery et al. 2022
// (PaLM), appendix B, whose convention is kept: a causal mask saves nothing.
int64_t ForwardFlopsPerToken(const Blueprint& blueprint, int64_t attended);
// Forward and backward: three times forward, since backward forms two products for each.
int64_t TrainingFlopsPerToken(const Blueprint& blueprint, int64_t sequence_length);

// Keys and values of all layers that one token leaves in the cache.
int64_t KvBytesPerToken(const Blueprint& blueprint, int64_t bytes_per_number);

// Bytes to serve `sequences` at once, each up to `tokens` long.
struct ServingMemory {
  int64_t weights = 0;
  int64_t kv_cache = 0;
  int64_t Total() const { return weights + kv_cache; }
};
ServingMemory EstimateServingMemory(const Blueprint& blueprint, int64_t sequences, int64_t tokens,
                                    int64_t bytes_per_number);

}  // namespace floe::model
