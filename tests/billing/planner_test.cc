#include "billing/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/billing/sample_book.h"

namespace floe::billing {
namespace {

PriceBook Sample() { return *PriceBook::Parse(kSampleBook); }

Workload Agent() {
  return {.name = "agent",
          .model = "hamlet",
          .requests_per_day = 1000,
          .input_tokens = 100,
          .cached_percent = 50,
          .output_tokens = 20,
          .retrieval_passages = 4,
          .passage_tokens = 25,
          .agent_steps = 3,
          .tool_calls_per_step = 1,
          .tool_result_tokens = 30,
          .time_to_first_token = absl::Milliseconds(100),
          .time_per_output_token = absl::Milliseconds(10),
          .retrieval_time = absl::Milliseconds(50),
          .tool_time = absl::Milliseconds(500)};
}

TEST(PlannerTest, ASimpleRequestCostsWhatItsChargeWould) {
  const auto plan = MakePlan(Sample(), {{.name = "chat",
                                         .model = "hamlet",
                                         .requests_per_day = 10,
                                         .input_tokens = 1000,
                                         .output_tokens = 100}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->workloads[0].per_request, Money::Picos(200'000'000 + 80'000'000 + 100'000'000));
  EXPECT_EQ(plan->per_day, Money::Picos(3'800'000'000));
  EXPECT_EQ(plan->per_month, Money::Picos(114'000'000'000));
}

TEST(PlannerTest, EachStepReadsEverythingBeforeItAgain) {
  const auto plan = MakePlan(Sample(), {Agent()});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& steps = plan->workloads[0].steps;
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].input_tokens, 100 + 100);
  EXPECT_EQ(steps[1].input_tokens, 200 + 20 + 30);
  EXPECT_EQ(steps[2].input_tokens, 250 + 20 + 30);
}

TEST(PlannerTest, LatencyAddsUpOverTheSteps) {
  const auto plan = MakePlan(Sample(), {Agent()});
  const auto& steps = plan->workloads[0].steps;
  EXPECT_EQ(steps[0].latency, absl::Milliseconds(50 + 100 + 200));
  EXPECT_EQ(steps[1].latency, absl::Milliseconds(500 + 100 + 200));
  EXPECT_EQ(steps[2].elapsed, absl::Milliseconds(350 + 800 + 800));
  EXPECT_EQ(plan->workloads[0].latency, steps[2].elapsed);
}

TEST(PlannerTest, DriversAndStepsSumToTheRequest) {
  for (const Tier tier : kTiers) {
    Workload workload = Agent();
    workload.tier = tier;
    const auto plan = MakePlan(Sample(), {workload});
    ASSERT_TRUE(plan.ok()) << plan.status();
    Money drivers, steps;
    Money last = Money::Dollars(1'000'000);
    for (const auto& driver : plan->workloads[0].drivers) {
      drivers = *Add(drivers, driver.amount);
      EXPECT_LE(driver.amount, last);
      last = driver.amount;
    }
    for (const auto& step : plan->workloads[0].steps) steps = *Add(steps, step.cost);
    EXPECT_EQ(drivers, plan->workloads[0].per_request);
    EXPECT_EQ(steps, plan->workloads[0].per_request);
  }
}

TEST(PlannerTest, NamesNumbersOutOfRangeAndMissingPrices) {
  Workload workload = Agent();
  workload.cached_percent = 101;
  EXPECT_THAT(MakePlan(Sample(), {workload}).status().message(),
              testing::HasSubstr("cached_percent is 101"));
  workload = Agent();
  workload.model = "unknown";
  EXPECT_EQ(MakePlan(Sample(), {workload}).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace floe::billing
