#include "inference/scheduler/step_cost.h"

#include <limits>

#include "gtest/gtest.h"

namespace floe::inference {
namespace {

absl::Duration Took(int64_t tokens) {
  return absl::Milliseconds(8) + tokens * absl::Microseconds(250);
}

StepCost Learned() {
  StepCost cost;
  for (int i = 0; i < 300; ++i) cost.Observe(1 + i * 37 % 128, Took(1 + i * 37 % 128));
  return cost;
}

TEST(StepCost, FindsTheFixedPartAndThePartOfAToken) {
  const StepCost cost = Learned();
  EXPECT_NEAR(absl::ToDoubleMilliseconds(cost.Time(0)), 8, 0.01);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(cost.Time(64)), 24, 0.01);
  EXPECT_NEAR(cost.Tokens(absl::Milliseconds(18)), 40, 1);
  EXPECT_EQ(cost.Tokens(absl::Milliseconds(5)), 0);
}

TEST(StepCost, KeepsTheSlopeWhileStepsAreAlike) {
  StepCost cost = Learned();
  for (int i = 0; i < 1000; ++i) cost.Observe(16, Took(16) + (i % 2) * absl::Microseconds(100));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(cost.Time(128)), 40, 0.3);
}

TEST(StepCost, FollowsAMachineThatBecomesSlower) {
  StepCost cost = Learned();
  for (int i = 0; i < 1500; ++i) cost.Observe(1 + i * 37 % 128, 2 * Took(1 + i * 37 % 128));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(cost.Time(64)), 48, 0.5);
}

TEST(StepCost, KnowsNothingAtFirst) {
  EXPECT_EQ(StepCost().Time(100), absl::ZeroDuration());
  EXPECT_EQ(StepCost().Tokens(absl::Milliseconds(1)), std::numeric_limits<int64_t>::max());
}

TEST(PrefillTokens, FillTheTightestTargetAndStayBelowTheBound) {
  // Four fifths of 25 ms leave 12 ms beside the fixed part: 48 tokens, of which 8 are the
  // decoders'.
  EXPECT_NEAR(PrefillTokens(Learned(), 8, absl::Milliseconds(25), 128), 40, 1);
  EXPECT_EQ(PrefillTokens(Learned(), 8, absl::Seconds(1), 128), 128);
  EXPECT_EQ(PrefillTokens(Learned(), 8, absl::InfiniteDuration(), 128), 128);
  EXPECT_EQ(PrefillTokens(StepCost(), 8, absl::Milliseconds(1), 128), 128);
}

TEST(PrefillTokens, MoveOnWhereNoTargetCanBeMet) {
  EXPECT_EQ(PrefillTokens(Learned(), 8, absl::Milliseconds(5), 128), 16);
  EXPECT_EQ(PrefillTokens(Learned(), 8, absl::Milliseconds(5), 4), 4);
}

}  // namespace
}  // namespace floe::inference
