// What waits, how long that will take, and whether one more may wait. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "inference/scheduler/plan.h"
#include "inference/scheduler/request.h"
#include "inference/scheduler/step_cost.h"

namespace floe::inference {

struct QueuedWork {
  int64_t requests = 0;
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;  // expected

  QueuedWork& operator+=(const QueuedWork& other);
};

struct QueueLimits {
  int64_t requests = 256;
  int64_t prompt_tokens = 262'144;
};

using WorkByTier = std::array<QueuedWork, kNumTiers>;

struct QueueState {
  WorkByTier tiers;
  StepCost cost;

  QueuedWork Total() const { return AtOrAbove(ServiceTier::kFlex); }
  QueuedWork AtOrAbove(ServiceTier tier) const;
};

// Until a request of `tier` that comes now has its turn: what waits in its own tier and above goes
// before it, or its own tier alone at the pace of the guaranteed share, whichever is sooner. In
// steps as full as the limits allow, so rather too short.
absl::Duration EstimateWait(const QueueState& queue, ServiceTier tier, const PlanLimits& plan);

// Whose youngest request has to go when more waits than the limits allow: of the lowest tier that
// has more than its guaranteed share of the queue. Nothing when all fits.
std::optional<ServiceTier> TierToShed(const WorkByTier& waiting, const QueueLimits& limits,
                                      const PlanLimits& plan);

// Whether `more`, one request of `tier`, may wait, whose client is there for `time_left`:
// RESOURCE_EXHAUSTED as Scheduler::Submit says. It may where others have to go for it.
absl::Status MayWait(const QueueState& queue, ServiceTier tier, const QueuedWork& more,
                     absl::Duration time_left, const QueueLimits& limits, const PlanLimits& plan);

// RESOURCE_EXHAUSTED with the reason, and `retry_after_seconds` in its metadata: whole, at least 1.
absl::Status ComeAgain(std::string_view reason, std::string_view message, absl::Duration after);

}  // namespace floe::inference
