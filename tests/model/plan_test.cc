#include "model/plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "model/fit.h"
#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

PlanRequest On(const char* hardware) {
  PlanRequest request;
  request.hardware = *HardwarePreset(hardware);
  return request;
}

Plan PlanOf(const Blueprint& blueprint, const PlanRequest& request) {
  const auto plan = MakePlan(blueprint, request);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *plan;
}

TEST(Plan, ShowsWhatTheOtherFfnWouldMakeOfTheClassicDials) {
  Blueprint b = *Preset("classic");
  Plan plan = PlanOf(b, On("h100-80gb"));
  EXPECT_EQ(plan.parameters.Total(), 6'704'861'184);
  EXPECT_EQ(plan.other_ffn, FfnKind::kGated);
  EXPECT_EQ(plan.other_ffn_total, 8'852'344'832);
  EXPECT_GT(plan.parameters.ffn, plan.parameters.attention);
  b.ffn = FfnKind::kGated;
  plan = PlanOf(b, On("h100-80gb"));
  EXPECT_EQ(plan.parameters.Total(), 8'852'344'832);
  EXPECT_EQ(plan.other_ffn, FfnKind::kPlain);
  EXPECT_EQ(plan.other_ffn_total, 6'704'861'184);
}

TEST(Plan, Gpt2KnowsOneFfn) {
  EXPECT_FALSE(PlanOf(*Preset("gpt2"), On("cpu")).other_ffn.has_value());
}

TEST(Plan, TokensAreOptimalUntilAskedAndSequencesAsLongAsTheContext) {
  PlanRequest request = On("a100-80gb");
  Plan plan = PlanOf(*Preset("gpt2"), request);
  EXPECT_TRUE(plan.optimal_tokens);
  EXPECT_EQ(plan.request.tokens, 20 * 124'439'808LL);
  EXPECT_EQ(plan.request.training.sequence_length, 1024);
  request.tokens = 1'000'000;
  request.training.sequence_length = 128;
  plan = PlanOf(*Preset("gpt2"), request);
  EXPECT_FALSE(plan.optimal_tokens);
  EXPECT_EQ(plan.request.tokens, 1'000'000);
  EXPECT_EQ(plan.work.exact, WorkOf(*Preset("gpt2"), 1'000'000, 128, false).exact);
}

TEST(Plan, AMeasurementReplacesTheAssumedUtilization) {
  PlanRequest request = On("cpu");
  const Plan assumed = PlanOf(*Preset("gpt2"), request);
  EXPECT_DOUBLE_EQ(assumed.flops_per_device, 0.6 * 0.1e12);
  request.measured_flops = 0.03e12;
  const Plan measured = PlanOf(*Preset("gpt2"), request);
  EXPECT_DOUBLE_EQ(measured.flops_per_device, 0.03e12);
  EXPECT_NEAR(measured.time.seconds, 2 * assumed.time.seconds, 1e-6 * measured.time.seconds);
}

TEST(Plan, WhatItSaysFitsDoesAndTheLargestIsWhatItSearchedFor) {
  PlanRequest request = On("h100-80gb");
  request.training.batch_size = 1;
  request.training.precision = TrainingPrecision::kBf16Mixed;
  const Plan small = PlanOf(*Preset("smollm2-135m"), request);
  EXPECT_EQ(small.usable_memory, 72'000'000'000);
  EXPECT_TRUE(small.fits());
  const Plan plan = PlanOf(*Preset("llama-3-8b"), request);
  EXPECT_FALSE(plan.fits());  // 18 bytes a parameter are 144 GB
  ASSERT_TRUE(plan.largest_to_train.has_value());
  EXPECT_LE(EstimateTrainingMemory(*plan.largest_to_train, plan.request.training).Total(),
            plan.usable_memory);
  EXPECT_EQ(plan.serving[1].sequences,
            SequencesThatFit(*Preset("llama-3-8b"), plan.usable_memory, 8192, 2));
  EXPECT_EQ(plan.serving[1].kv_bytes_per_token, 131'072);
  ASSERT_TRUE(plan.serving[1].largest.has_value());
  EXPECT_GT(CountParameters(*plan.serving[1].largest).Total(),
            CountParameters(*plan.serving[0].largest).Total());
}

TEST(Plan, OneAnswerNamesEveryFigureThatCannotBe) {
  PlanRequest request = On("cpu");
  request.training.batch_size = 0;
  request.training.devices = -2;
  request.training.sequence_length = 2000;
  request.memory_share = 1.5;
  const auto plan = MakePlan(*Preset("gpt2"), request);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(plan.status().message()),
              AllOf(HasSubstr("batch_size is 0"), HasSubstr("devices is -2"),
                    HasSubstr("sequence_length is 2000: must be from 1 to the context, 1024"),
                    HasSubstr("memory share is 1.5")));
}

TEST(Plan, ImpossibleDialsAreNamedAndImpossibleHardwareToo) {
  Blueprint b = *Preset("llama-3-8b");
  b.num_kv_heads = 5;
  EXPECT_THAT(std::string(MakePlan(b, On("cpu")).status().message()),
              HasSubstr("num_kv_heads is 5: must divide num_heads, 32"));
  PlanRequest request = On("cpu");
  request.hardware.utilization = 0;
  EXPECT_THAT(std::string(MakePlan(*Preset("gpt2"), request).status().message()),
              HasSubstr("utilization is 0"));
}

TEST(Plan, TheLargestBlueprintIsPlannedWithoutOverflow) {
  const Plan plan = PlanOf(LargestBlueprint(), On("cpu"));
  EXPECT_GT(plan.time.seconds, 0);
  EXPECT_GT(plan.memory.Total(), 0);
  EXPECT_EQ(plan.serving[0].sequences, -1);
  EXPECT_FALSE(plan.largest_to_train.has_value());
}

}  // namespace
}  // namespace floe::model
