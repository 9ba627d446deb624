#include "inference/scheduler/tier_targets.h"

#include "gtest/gtest.h"

namespace floe::inference {
namespace {

// By default: priority 1 s and 100 ms a token, default 5 s and 250 ms, flex anything.
Usage Took(absl::Duration first, absl::Duration per_token, int64_t tokens = 11) {
  Usage usage;
  usage.completion_tokens = tokens;
  usage.time_to_first_token = first;
  usage.total_time = first + per_token * (tokens - 1);
  return usage;
}

TEST(TierMet, IsTheRequestedTierWhenBothTargetsHold) {
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, Took(absl::Seconds(1), absl::Milliseconds(100))),
            ServiceTier::kPriority);
}

TEST(TierMet, FallsToTheTierThatWasMet) {
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, Took(absl::Seconds(2), absl::Milliseconds(10))),
            ServiceTier::kDefault);
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, Took(absl::Seconds(0.1), absl::Milliseconds(200))),
            ServiceTier::kDefault);
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, Took(absl::Seconds(9), absl::Milliseconds(10))),
            ServiceTier::kFlex);
}

TEST(TierMet, IsNeverAboveTheRequestedTier) {
  EXPECT_EQ(TierMet({}, ServiceTier::kFlex, Took(absl::Seconds(0.1), absl::Milliseconds(1))),
            ServiceTier::kFlex);
}

TEST(TierMet, OneTokenHasNoFurtherToken) {
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, Took(absl::Seconds(1), absl::Seconds(9), 1)),
            ServiceTier::kPriority);
}

TEST(TierMet, WithoutATokenTheWholeTimeCounts) {
  Usage usage;
  usage.total_time = absl::Seconds(3);
  EXPECT_EQ(TierMet({}, ServiceTier::kPriority, usage), ServiceTier::kDefault);
}

TEST(ParseTier, NamesWhatIsAllowed) {
  EXPECT_EQ(*ParseTier("priority"), ServiceTier::kPriority);
  EXPECT_EQ(ParseTier("fast").status().message(),
            "service_tier is \"fast\"; use flex, default or priority");
}

}  // namespace
}  // namespace floe::inference
