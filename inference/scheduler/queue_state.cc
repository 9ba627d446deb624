#include "inference/scheduler/queue_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::inference {
namespace {

// A longer promise would be worth nothing.
constexpr absl::Duration kLongest = absl::Minutes(10);

absl::Duration TimeOf(const QueuedWork& work, const StepCost& cost, const PlanLimits& plan) {
  const auto prompt = static_cast<double>(work.prompt_tokens);
  const auto answer = static_cast<double>(work.answer_tokens);
  const double steps = std::max(prompt / static_cast<double>(plan.prefill_tokens),
                                answer / static_cast<double>(plan.max_running));
  return cost.Time(prompt + answer, steps);
}

}  // namespace

QueuedWork& QueuedWork::operator+=(const QueuedWork& other) {
  requests += other.requests;
  prompt_tokens += other.prompt_tokens;
  answer_tokens += other.answer_tokens;
  return *this;
}

QueuedWork QueueState::AtOrAbove(ServiceTier tier) const {
  QueuedWork sum;
  for (auto i = static_cast<size_t>(tier); i < kNumTiers; ++i) sum += tiers[i];
  return sum;
}

absl::Duration EstimateWait(const QueueState& queue, ServiceTier tier, const PlanLimits& plan) {
  const absl::Duration by_tier = TimeOf(queue.AtOrAbove(tier), queue.cost, plan);
  const auto own = static_cast<size_t>(tier);
  const double share = plan.guaranteed_share[own];
  return share > 0 ? std::min(by_tier, TimeOf(queue.tiers[own], queue.cost, plan) / share)
                   : by_tier;
}

std::optional<ServiceTier> TierToShed(const WorkByTier& waiting, const QueueLimits& limits,
                                      const PlanLimits& plan) {
  const QueuedWork all = QueueState{waiting, {}}.Total();
  const bool requests = all.requests > limits.requests;
  if (!requests && all.prompt_tokens <= limits.prompt_tokens) return std::nullopt;
  const auto limit = static_cast<double>(requests ? limits.requests : limits.prompt_tokens);
  for (size_t i = 0; i < kNumTiers; ++i) {
    const int64_t has = requests ? waiting[i].requests : waiting[i].prompt_tokens;
    if (static_cast<double>(has) > plan.guaranteed_share[i] * limit) {
      return static_cast<ServiceTier>(i);
    }
  }
  return std::nullopt;  // not while the shares add up to less than 1
}

absl::Status MayWait(const QueueState& queue, ServiceTier tier, const QueuedWork& more,
                     absl::Duration time_left, const QueueLimits& limits, const PlanLimits& plan) {
  const absl::Duration wait = EstimateWait(queue, tier, plan);
  WorkByTier waiting = queue.tiers;
  waiting[static_cast<size_t>(tier)] += more;
  while (const std::optional<ServiceTier> shed = TierToShed(waiting, limits, plan)) {
    if (*shed != tier) {
      QueuedWork& from = waiting[static_cast<size_t>(*shed)];
      from += {-1, -from.prompt_tokens / from.requests, 0};
      continue;
    }
    const QueuedWork all = queue.Total();
    return ComeAgain("QUEUE_FULL",
                     absl::StrCat("the queue is full: ", all.requests, " of ", limits.requests,
                                  " requests and ", all.prompt_tokens, " of ", limits.prompt_tokens,
                                  " prompt tokens wait; try again later or ask another worker"),
                     wait);
  }
  const absl::Duration first_token =
      wait + TimeOf({more.requests, more.prompt_tokens, 0}, queue.cost, plan);
  if (first_token > time_left) {
    return ComeAgain(
        "DEADLINE_TOO_SOON",
        absl::StrCat("the first result would take about ",
                     absl::FormatDuration(absl::Trunc(first_token, absl::Milliseconds(1))),
                     " and the deadline leaves ",
                     absl::FormatDuration(absl::Trunc(time_left, absl::Milliseconds(1))),
                     "; try again later, allow more time or ask another worker"),
        first_token - time_left);
  }
  return absl::OkStatus();
}

absl::Status ComeAgain(std::string_view reason, std::string_view message, absl::Duration after) {
  const absl::Duration whole =
      std::clamp(absl::Ceil(after, absl::Seconds(1)), absl::Seconds(1), kLongest);
  return WithReason(absl::ResourceExhaustedError(AbslView(message)), reason,
                    {{"retry_after_seconds", absl::StrCat(absl::ToInt64Seconds(whole))}});
}

}  // namespace floe::inference
