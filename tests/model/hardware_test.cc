#include "model/hardware.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Hardware, EveryPresetIsSoundAndHasAPrice) {
  for (const std::string_view name : HardwareNames()) {
    const auto hardware = HardwarePreset(name);
    ASSERT_TRUE(hardware.ok()) << hardware.status();
    EXPECT_TRUE(hardware->Validate().ok()) << hardware->Validate();
    EXPECT_EQ(hardware->name, name);
    EXPECT_GT(hardware->price_microdollars_per_hour, 0) << name;
  }
}

TEST(Hardware, ACpuIsPlannedIn32BitsAndAGpuInBf16) {
  EXPECT_EQ(HardwarePreset("cpu")->BestPrecision(), TrainingPrecision::kF32);
  EXPECT_EQ(HardwarePreset("h100-80gb")->BestPrecision(), TrainingPrecision::kBf16Mixed);
}

TEST(Hardware, DevicesAreKnownByAWordOfTheirNames) {
  EXPECT_TRUE(HardwarePreset("cpu")->Is("cpu: Some(R) Processor, 2 threads"));
  EXPECT_TRUE(HardwarePreset("h100-80gb")->Is("NVIDIA H100 80GB HBM3"));
  EXPECT_TRUE(HardwarePreset("rtx-4090")->Is("nvidia geforce rtx 4090"));
  EXPECT_TRUE(HardwarePreset("l4")->Is("NVIDIA L4"));
  EXPECT_FALSE(HardwarePreset("l4")->Is("NVIDIA L40S"));
  EXPECT_FALSE(HardwarePreset("h100-80gb")->Is("NVIDIA A100-SXM4-80GB"));
  EXPECT_FALSE(HardwarePreset("cpu")->Is(""));
  Hardware unnamed = *HardwarePreset("cpu");
  unnamed.device.clear();
  EXPECT_FALSE(unnamed.Is("cpu: Some(R) Processor"));
}

TEST(Hardware, AnUnknownNameIsAnsweredWithTheKnownOnesAndTheWayOut) {
  const auto unknown = HardwarePreset("tpu-v9");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()),
              AllOf(HasSubstr("\"tpu-v9\""), HasSubstr("h100-80gb"), HasSubstr("--hardware-file")));
}

TEST(Hardware, OneAnswerNamesEveryFigureThatCannotBe) {
  Hardware hardware = *HardwarePreset("l4");
  hardware.peak_bf16 = -1;
  hardware.memory_bytes = 0;
  hardware.utilization = 1.5;
  const absl::Status status = hardware.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("hardware l4"), HasSubstr("peak in bf16 is -1"),
                    HasSubstr("memory is 0"), HasSubstr("utilization is 1.5"),
                    Not(HasSubstr("price")), Not(HasSubstr("peak in f32"))));
}

}  // namespace
}  // namespace floe::model
