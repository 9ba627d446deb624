// An open-loop load: requests come when they come, whether or not the ones before are done, as
// clients do who do not know of each other. And what became of them, by tier.
//
// Goodput is the share of all that came, refused ones included, that met both targets of their
// tier. Time to first token (TTFT) counts from the arrival; time per output token (TPOT) is the
// mean after the first.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

#include "inference/scheduler/request.h"
#include "inference/scheduler/tier_targets.h"

namespace floe::bench {

struct LoadShape {
  double requests_per_second = 1;
  int requests = 0;
  uint64_t seed = 1;
  std::array<double, inference::kNumTiers> mix = {0.3, 0.5, 0.2};  // flex, default, priority
  // Lengths are drawn evenly from these.
  int64_t min_prompt = 16;
  int64_t max_prompt = 240;
  int64_t min_answer = 16;
  int64_t max_answer = 64;
};

struct Arrival {
  absl::Duration at;  // from the start
  inference::ServiceTier tier = inference::ServiceTier::kDefault;
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
};

// Gaps are exponential (a Poisson process). The same shape gives the same arrivals.
std::vector<Arrival> PoissonArrivals(const LoadShape& shape);

struct Outcome {
  inference::ServiceTier tier = inference::ServiceTier::kDefault;
  bool refused = false;
  absl::Duration first_token;  // the rest is of those that were not refused
  absl::Duration per_token;
};

struct TierResult {
  int64_t requests = 0;
  int64_t refused = 0;
  int64_t delayed = 0;  // answered, and missed a target of their tier
  double goodput = 1;
  absl::Duration first_token_p50, first_token_p99;
  absl::Duration per_token_p50, per_token_p99;
};

std::array<TierResult, inference::kNumTiers> Summarise(const std::vector<Outcome>& outcomes,
                                                       const inference::TierTargets& targets);

}  // namespace floe::bench
