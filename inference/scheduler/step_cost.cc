#include "inference/scheduler/step_cost.h"

#include <algorithm>
#include <limits>

namespace floe::inference {
namespace {

// Steps over which the weights fade.
constexpr double kMemory = 128;
// How much spread of step sizes, in tokens squared, weighs as much as the slope known so far.
constexpr double kPriorVariance = 64;
// The part of a target that a step is planned to take: the rest is for what steps vary.
constexpr double kUsedTarget = 0.8;
constexpr int64_t kLeastPrefill = 16;

}  // namespace

void StepCost::Observe(int64_t tokens, absl::Duration took) {
  const auto x = static_cast<double>(tokens);
  const double y = absl::ToDoubleSeconds(took);
  if (steps_ == 0) per_token_ = y / x;
  steps_ = std::min(steps_ + 1, kMemory);
  const double weight = 1 / steps_;
  const double off_x = x - mean_tokens_;
  const double off_y = y - mean_seconds_;
  mean_tokens_ += weight * off_x;
  mean_seconds_ += weight * off_y;
  variance_ = (1 - weight) * (variance_ + weight * off_x * off_x);
  covariance_ = (1 - weight) * (covariance_ + weight * off_x * off_y);
  const double slope = (covariance_ + kPriorVariance * per_token_) / (variance_ + kPriorVariance);
  per_token_ = std::clamp(slope, 0.0, mean_seconds_ / mean_tokens_);
}

absl::Duration StepCost::Time(double tokens, double steps) const {
  return absl::Seconds(steps * (mean_seconds_ - per_token_ * mean_tokens_) + per_token_ * tokens);
}

absl::Duration StepCost::Time(int64_t tokens) const { return Time(static_cast<double>(tokens), 1); }

int64_t StepCost::Tokens(absl::Duration limit) const {
  const absl::Duration left = limit - Time(0);
  if (left < absl::ZeroDuration()) return 0;
  const double tokens = absl::ToDoubleSeconds(left) / per_token_;
  // Also for an infinite limit and for tokens that cost nothing.
  if (!(tokens < 1e15)) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(tokens);
}

int64_t PrefillTokens(const StepCost& cost, int64_t decoders, absl::Duration tightest,
                      int64_t most) {
  const int64_t inside = cost.Tokens(kUsedTarget * tightest);
  return std::min(most, std::max(kLeastPrefill, inside - decoders));
}

}  // namespace floe::inference
