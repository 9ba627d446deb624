// What each service tier promises, and which promise an answer has kept.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "inference/scheduler/request.h"

namespace floe::inference {

// Measured from the arrival at the worker. Both hold or the tier is missed.
struct TierTarget {
  absl::Duration first_token = absl::InfiniteDuration();
  absl::Duration per_output_token = absl::InfiniteDuration();  // mean after the first
};

struct TierTargets {
  std::array<TierTarget, kNumTiers> tiers = {TierTarget{},
                                             TierTarget{absl::Seconds(5), absl::Milliseconds(250)},
                                             TierTarget{absl::Seconds(1), absl::Milliseconds(100)}};
};

std::string_view TierName(ServiceTier tier);  // "flex", "default", "priority"
absl::StatusOr<ServiceTier> ParseTier(std::string_view name);

// The best tier whose target `usage` met, never above `requested`; flex when it met none.
ServiceTier TierMet(const TierTargets& targets, ServiceTier requested, const Usage& usage);

}  // namespace floe::inference
