// The scheduler's queue: who comes in, who has to go, and how much of a step prompts may take.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "inference/scheduler/active.h"
#include "inference/scheduler/check_request.h"
#include "inference/scheduler/scheduler.h"

namespace floe::inference {
namespace {

// Shares are aimed at with a margin, since what is begun counts and comes later.
constexpr double kShareMargin = 1.2;
constexpr double kMostGuaranteed = 0.99;

}  // namespace

absl::StatusOr<RequestId> Scheduler::Submit(Request request, EventSink sink) {
  FLOE_RETURN_IF_ERROR(CheckRequest(request, blueprint_, kv_at_start_));
  auto active = std::make_unique<Active>(std::move(request), std::move(sink));
  active->tokens = active->request.prompt;
  active->usage.prompt_tokens = static_cast<int64_t>(active->tokens.size());
  active->submitted_at = clock_.Monotonic();
  const auto tier = static_cast<size_t>(active->request.tier);
  active->deadline = active->submitted_at +
                     std::min(options_.targets.tiers[tier].first_token, active->request.time_left);
  FLOE_RETURN_IF_ERROR(active->Replay());
  const std::lock_guard lock(mutex_);
  if (!accepting_) {
    return WithReason(absl::UnavailableError("the worker is shutting down; ask another one"),
                      "DRAINING");
  }
  const QueuedWork work = WorkOf(*active);
  const absl::Status may_wait = MayWait(queue_, active->request.tier, work,
                                        active->request.time_left, options_.queue, options_.plan);
  if (!may_wait.ok()) {
    ++stats_.rejected;
    return may_wait;
  }
  const RequestId id = next_id_++;
  active->id = id;
  queue_.tiers[tier] += work;
  idle_now_ = false;
  submitted_.push_back(std::move(active));
  work_.notify_one();
  return id;
}

absl::Status Scheduler::CanFinish(ServiceTier tier, int64_t tokens, absl::Duration time_left) {
  constexpr QueueLimits kEndless = {std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::max()};
  const std::lock_guard lock(mutex_);
  absl::Status can = MayWait(queue_, tier, {1, tokens, 0}, time_left, kEndless, options_.plan);
  if (!can.ok()) ++stats_.rejected;
  return can;
}

void Scheduler::ShedOverflow() {
  WorkByTier waiting;
  for (const auto& active : active_) {
    if (active->started || active->ended) continue;
    waiting[static_cast<size_t>(active->request.tier)] += {1, active->target(), 0};
  }
  while (const std::optional<ServiceTier> tier =
             TierToShed(waiting, options_.queue, options_.plan)) {
    const auto youngest = std::find_if(active_.rbegin(), active_.rend(), [&](const auto& active) {
      return !active->started && !active->ended && active->request.tier == *tier;
    });
    waiting[static_cast<size_t>(*tier)] += {-1, -(*youngest)->target(), 0};
    Refuse(**youngest, "QUEUE_FULL", "others need the place in the queue");
  }
}

void Scheduler::ShedHopeless() {
  const absl::Duration now = clock_.Monotonic();
  for (const auto& active : active_) {
    if (active->started || active->ended) continue;
    const absl::Duration left = active->submitted_at + active->request.time_left - now;
    if (left < cost_.Time(active->target())) {
      Refuse(*active, "DEADLINE_TOO_SOON", "the deadline has come too near to begin");
    }
  }
}

void Scheduler::Refuse(Active& active, std::string_view reason, std::string_view message) {
  absl::Duration wait;
  {
    const std::lock_guard lock(mutex_);
    ++stats_.rejected;
    wait = EstimateWait(queue_, active.request.tier, options_.plan);
  }
  End(active, FinishReason::kError,
      ComeAgain(reason, absl::StrCat(AbslView(message), "; try again later or ask another worker"),
                wait),
      {});
}

QueuedWork Scheduler::WorkOf(const Active& active) const {
  const bool generates = !active.scoring() && !active.embedding();
  const int64_t left = active.request.max_tokens - active.usage.completion_tokens;
  return {1, active.target(),
          generates ? std::min(left, static_cast<int64_t>(mean_answer_)) : int64_t{0}};
}

PlanLimits Scheduler::LimitsNow() const {
  int64_t decoders = 0;
  absl::Duration tightest = absl::InfiniteDuration();
  for (const auto& active : active_) {
    if (!active->running || active->pending() > 1) continue;
    ++decoders;
    const TierTarget& target = options_.targets.tiers[static_cast<size_t>(active->request.tier)];
    tightest = std::min(tightest, target.per_output_token);
  }
  PlanLimits limits = options_.plan;
  const auto& shares = options_.plan.guaranteed_share;
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : limits.guaranteed_share) {
    share *= std::max(1.0, std::min(kShareMargin, kMostGuaranteed / all));
  }
  limits.prefill_tokens = PrefillTokens(cost_, decoders, tightest, limits.prefill_tokens);
  return limits;
}

}  // namespace floe::inference
