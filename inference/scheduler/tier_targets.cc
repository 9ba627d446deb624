#include "inference/scheduler/tier_targets.h"

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::inference {
namespace {

constexpr std::array<std::string_view, kNumTiers> kNames = {"flex", "default", "priority"};

absl::Duration PerOutputToken(const Usage& usage) {
  if (usage.completion_tokens < 2) return absl::ZeroDuration();
  return (usage.total_time - usage.time_to_first_token) / (usage.completion_tokens - 1);
}

}  // namespace

std::string_view TierName(ServiceTier tier) { return kNames[static_cast<size_t>(tier)]; }

absl::StatusOr<ServiceTier> ParseTier(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<ServiceTier>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("service_tier is \"", AbslView(name), "\"; use flex, default or priority"));
}

ServiceTier TierMet(const TierTargets& targets, ServiceTier requested, const Usage& usage) {
  const absl::Duration first =
      usage.completion_tokens > 0 ? usage.time_to_first_token : usage.total_time;
  for (auto tier = static_cast<size_t>(requested); tier > 0; --tier) {
    const TierTarget& target = targets.tiers[tier];
    if (first <= target.first_token && PerOutputToken(usage) <= target.per_output_token) {
      return static_cast<ServiceTier>(tier);
    }
  }
  return ServiceTier::kFlex;
}

}  // namespace floe::inference
