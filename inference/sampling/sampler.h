// From logits to the next token.
//
// The choice is a pure function of (logits, params, position): no state, so that a stream can move
// to another worker, be pre-empted and recomputed, or be asked for again, and go on with the same
// tokens. Order of the filters: temperature, top_k, top_p, min_p; each sees what the one before
// left, renormalised. Equal logits rank by lower id.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace floe::inference {

struct SamplingParams {
  float temperature = 0;  // 0: greedy, and nothing below matters
  int32_t top_k = 0;      // keep the k likeliest; 0 keeps all
  float top_p = 1;        // keep the likeliest until their sum reaches p; 0 and 1 keep all
  float min_p = 0;        // keep those at least min_p times as likely as the likeliest
  uint64_t seed = 0;

  bool operator==(const SamplingParams&) const = default;

  // INVALID_ARGUMENT naming the field, its value and its range.
  absl::Status Validate() const;
};

// 53 random bits as a number in [0, 1), from (seed, position) alone: two rounds of the splitmix64
// finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators") over the
// seed and then over the seed's hash combined with the position.
double UniformAt(uint64_t seed, int64_t position);

// The id of the next token; `position` is its index in the sequence, prompt included. `logits` is
// not empty; a NaN is taken as never likely.
int32_t Sample(std::span<const float> logits, const SamplingParams& params, int64_t position);

// Natural logarithm of softmax(logits)[id]: the model's own probability, before temperature and
// filters. Computed in 64 bits, in order of ids.
double LogProbability(std::span<const float> logits, int32_t id);

// The likeliest id; ties go to the lower.
int32_t Likeliest(std::span<const float> logits);

struct TokenLogProbability {
  int32_t id = 0;
  float log_probability = 0;
};
// The n likeliest, best first.
std::vector<TokenLogProbability> TopLogProbabilities(std::span<const float> logits, int n);

}  // namespace floe::inference
