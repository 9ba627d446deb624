#include "model/training_run.h"

#include <limits>

#include "gtest/gtest.h"

#include "model/accounting.h"
#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

TEST(TrainingRun, TwentyTokensAParameterAreOptimal) {
  EXPECT_EQ(ComputeOptimalTokens(*Preset("gpt2")), 20 * 124'439'808LL);
  EXPECT_GT(ComputeOptimalTokens(LargestBlueprint()), 0);
}

TEST(TrainingRun, TheRuleOfThumbIsSixAParameterAndToken) {
  const TrainingWork work = WorkOf(*Preset("llama-2-7b"), 1'000'000, 4096, false);
  EXPECT_DOUBLE_EQ(work.rule_of_thumb, 6.0 * 6'738'415'616 * 1e6);
}

TEST(TrainingRun, ExactWorkIsThreeForwardPassesOverTheHalfThatACausalTokenSees) {
  const Blueprint b = *Preset("smollm2-135m");
  const TrainingWork work = WorkOf(b, 1000, 511, false);
  EXPECT_DOUBLE_EQ(work.exact, 3000.0 * static_cast<double>(ForwardFlopsPerToken(b, 256)));
  EXPECT_DOUBLE_EQ(work.executed, work.exact);
  EXPECT_DOUBLE_EQ(WorkOf(b, 1000, 511, true).executed, work.exact / 3 * 4);
}

// Touvron et al. 2023 (arXiv:2307.09288), table 2: Llama 2 7B took 184,320 hours of A100-80GB for
// 2 T tokens of sequences of 4,096.
TEST(TrainingRun, TheAssumedUtilizationGivesThePublishedHoursOfLlama2) {
  const Hardware a100 = *HardwarePreset("a100-80gb");
  const int64_t tokens = 2'000'000'000'000;
  const TrainingTime time =
      TimeOf(WorkOf(*Preset("llama-2-7b"), tokens, 4096, false), tokens, 2000,
             a100.utilization * a100.peak_bf16, a100.price_microdollars_per_hour);
  EXPECT_NEAR(time.device_hours, 184'320, 0.1 * 184'320);
  EXPECT_NEAR(time.seconds * 2000, time.device_hours * 3600, 1);
}

TEST(TrainingRun, MoneyIsWholeDeviceSecondsAtThePrice) {
  TrainingWork work;
  work.exact = work.executed = 7.0e12;
  // 7 s on each of two devices at 1.00 an hour: 14 s of 3,600.
  const TrainingTime time = TimeOf(work, 14'000, 2, 0.5e12, 1'000'000);
  EXPECT_DOUBLE_EQ(time.seconds, 7);
  EXPECT_DOUBLE_EQ(time.tokens_per_second, 2000);
  EXPECT_DOUBLE_EQ(time.flops_per_second, 1e12);
  EXPECT_EQ(time.microdollars, 3889);  // 3,888.9 rounded up
  EXPECT_EQ(TimeOf(work, 14'000, 2, 0.5e12, 0).microdollars, 0);
}

TEST(TrainingRun, MoreDevicesTakeLessTimeAndCostTheSame) {
  const TrainingWork work = WorkOf(*Preset("gpt2"), 1'000'000'000, 1024, false);
  const TrainingTime one = TimeOf(work, 1'000'000'000, 1, 1e14, 3'000'000);
  const TrainingTime eight = TimeOf(work, 1'000'000'000, 8, 1e14, 3'000'000);
  EXPECT_NEAR(eight.seconds, one.seconds / 8, 1e-6);
  EXPECT_NEAR(static_cast<double>(eight.microdollars), static_cast<double>(one.microdollars),
              3'000'000 / 3600.0 + 1);
}

TEST(TrainingRun, WhatNobodyCanPayIsHeldAtTheMost) {
  const int64_t tokens = std::numeric_limits<int64_t>::max();
  const TrainingTime time =
      TimeOf(WorkOf(LargestBlueprint(), tokens, 1 << 24, true), tokens, 1, 1, 1'000'000'000'000);
  EXPECT_EQ(time.microdollars, std::numeric_limits<int64_t>::max());
  EXPECT_GT(time.seconds, 0);
}

}  // namespace
}  // namespace floe::model
