// What the tiers promise under a load that comes as it comes: the real scheduler, plan, queue and
// admission, on a virtual clock, with an engine whose steps take a fixed time and one per token.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/inference/simulation.h"

namespace floe::inference {
namespace {

constexpr auto kFlex = static_cast<size_t>(ServiceTier::kFlex);
constexpr auto kDefault = static_cast<size_t>(ServiceTier::kDefault);
constexpr auto kPriority = static_cast<size_t>(ServiceTier::kPriority);

class TiersSimulation : public testing::TestWithParam<uint64_t> {
 protected:
  // A part of what the worker can do at most, for as many requests.
  SimulationResult Run(double load, int requests, bench::LoadShape shape = {}) {
    shape.seed = GetParam();
    shape.requests = 300;
    shape.requests_per_second = load * Capacity(shape, options_);
    shape.requests = requests;
    SimulationResult result = Simulate(bench::PoissonArrivals(shape), options_);
    tiers_ = bench::Summarise(result.outcomes, options_.scheduler.targets);
    return result;
  }

  SimulationOptions options_;
  std::array<bench::TierResult, kNumTiers> tiers_;
};

TEST_P(TiersSimulation, At70PercentEveryTierMeetsItsTargets) {
  Run(0.7, 1500);
  for (const bench::TierResult& tier : tiers_) {
    EXPECT_GT(tier.requests, 200);
    EXPECT_EQ(tier.refused, 0);
    EXPECT_GE(tier.goodput, 0.99);
  }
}

TEST_P(TiersSimulation, At100PercentFlexWaitsSoThatTheOthersDoNot) {
  Run(1.0, 1500);
  EXPECT_GE(tiers_[kPriority].goodput, 0.99);
  EXPECT_GE(tiers_[kDefault].goodput, 0.99);
  EXPECT_GT(tiers_[kFlex].first_token_p99, 2 * tiers_[kDefault].first_token_p99);
}

TEST_P(TiersSimulation, At150PercentPriorityMeetsItsTargetsAndFlexIsDelayedOrRefused) {
  Run(1.5, 2500);
  EXPECT_GE(tiers_[kPriority].goodput, 0.99);
  EXPECT_EQ(tiers_[kPriority].refused, 0);
  EXPECT_GT(tiers_[kFlex].refused, tiers_[kFlex].requests / 4);
  EXPECT_GT(tiers_[kFlex].first_token_p50, absl::Seconds(20));
  EXPECT_LT(tiers_[kFlex].refused, tiers_[kFlex].requests);
}

// The least share of all tokens that a tier had in any `window` through which it had work waiting.
double LeastShare(const std::vector<WorkSample>& samples, size_t tier, absl::Duration window) {
  double least = 2;
  size_t begin = 0;
  for (size_t end = 0; end < samples.size(); ++end) {
    if (samples[end].waiting[tier] == 0) begin = end + 1;
    if (begin >= end || samples[end].at - samples[begin].at < window) continue;
    int64_t own = 0, all = 0;
    for (size_t t = 0; t < kNumTiers; ++t) {
      const int64_t tokens = samples[end].answer_tokens[t] - samples[begin].answer_tokens[t] +
                             samples[end].prompt_tokens[t] - samples[begin].prompt_tokens[t];
      all += tokens;
      if (t == tier) own = tokens;
    }
    least = std::min(least, static_cast<double>(own) / static_cast<double>(all));
    ++begin;
  }
  return least;
}

TEST_P(TiersSimulation, NoTierStarvesHoweverMuchTheOthersWant) {
  for (const bench::LoadShape& shape :
       {bench::LoadShape{}, bench::LoadShape{.mix = {0.34, 0.33, 0.33}},
        bench::LoadShape{.mix = {0.1, 0.1, 0.8}}, bench::LoadShape{.mix = {0.1, 0.8, 0.1}}}) {
    const SimulationResult result = Run(3, 2000, shape);
    EXPECT_LE(LeastShare(result.samples, kFlex, absl::Seconds(30)), 1);  // it did wait
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      EXPECT_GE(LeastShare(result.samples, tier, absl::Seconds(30)),
                options_.scheduler.plan.guaranteed_share[tier])
          << "tier " << tier;
      EXPECT_GT(tiers_[tier].requests, tiers_[tier].refused);
    }
  }
}

TEST_P(TiersSimulation, LongPromptsDoNotBreakTheTightestRunningTarget) {
  bench::LoadShape shape{.mix = {0.7, 0, 0.3}, .min_prompt = 500, .max_prompt = 1500};
  options_.scheduler.targets.tiers[kPriority] = {absl::Seconds(10), absl::Milliseconds(20)};
  Run(0.6, 400, shape);
  EXPECT_LE(tiers_[kPriority].per_token_p99, absl::Milliseconds(20));
  // The upper bound alone lets 128 tokens in: steps of 8 + 128 / 4 = 40 ms.
  options_.scheduler.targets.tiers[kPriority] = {};
  Run(0.6, 400, shape);
  EXPECT_GT(tiers_[kPriority].per_token_p99, absl::Milliseconds(25));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TiersSimulation, testing::Values(1, 2, 3));

}  // namespace
}  // namespace floe::inference
