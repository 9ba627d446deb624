// How much work it is to train a model on so many tokens, how long that takes, and what it costs.
// Pure functions; they require Validate().ok() of the blueprint and of the hardware.
#pragma once

#include <cstdint>

#include "model/blueprint.h"
#include "model/hardware.h"

namespace floe::model {

// The tokens that give the lowest loss for a budget of work: about 20 a parameter. Source: Hoffmann
// et al. 2022 ("Chinchilla", arXiv:2203.15556), table 3. More tokens make a smaller model as good,
// which pays where it is served much.
inline constexpr int64_t kTokensPerParameter = 20;
int64_t ComputeOptimalTokens(const Blueprint& blueprint);

// Floating-point operations to train on all tokens; a multiply-add is two.
struct TrainingWork {
  // 6 N D, N all parameters and D all tokens: the rule of thumb (Kaplan et al. 2020,
  // arXiv:2001.08361), which knows no attention and counts the embedding as a product.
  double rule_of_thumb = 0;
  // Every product that a step needs, three for each of the forward pass; a token attends to half
  // of the sequence on average. This is what jobs report as gflops.
  double exact = 0;
  // `exact`, and the forward pass once more with activation checkpointing.
  double executed = 0;
};
TrainingWork WorkOf(const Blueprint& blueprint, int64_t tokens, int64_t sequence_length,
                    bool activation_checkpointing);

struct TrainingTime {
  double flops_per_second = 0;  // of all devices
  double tokens_per_second = 0;
  double seconds = 0;
  double device_hours = 0;
  // Whole microdollars, rounded up from whole device-seconds; the most that 63 bits hold where it
  // would be more.
  int64_t microdollars = 0;
};
// `flops_per_second_per_device`: what training sustains, assumed or measured, of `work.executed`.
TrainingTime TimeOf(const TrainingWork& work, int64_t tokens, int64_t devices,
                    double flops_per_second_per_device, int64_t price_microdollars_per_hour);

}  // namespace floe::model
