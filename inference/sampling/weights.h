// The passes that a draw makes over all logits of a vocabulary, by the instruction set that the
// machine has. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <span>

namespace floe::inference {

inline constexpr int64_t kWeightBlock = 256;

// The likeliest id: the first with the greatest logit. A NaN is never likely; 0 where nothing is.
int32_t Likeliest(std::span<const float> logits);

// weights[i] = exp((logits[i] - max) * scale) in 64 bits, 0 for a NaN, and the sum of each
// kWeightBlock of them in `sums`. Both have room for all. Returns the sum of the sums.
double Weigh(std::span<const float> logits, float max, double scale, double* weights, double* sums);

}  // namespace floe::inference
