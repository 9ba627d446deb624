#include "model/presets.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "model/accounting.h"

namespace floe::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

int64_t TotalOf(std::string_view name) {
  const auto preset = Preset(name);
  EXPECT_TRUE(preset.ok()) << preset.status();
  EXPECT_TRUE(preset->Validate().ok()) << preset->Validate();
  return CountParameters(*preset).Total();
}

// The counts that the publishers state.
TEST(Presets, HaveThePublishedParameterCounts) {
  EXPECT_EQ(TotalOf("gpt2"), 124'439'808);
  EXPECT_EQ(TotalOf("llama-2-7b"), 6'738'415'616);
  EXPECT_EQ(TotalOf("llama-3-8b"), 8'030'261'248);
  EXPECT_EQ(TotalOf("llama-3.1-8b"), 8'030'261'248);
  EXPECT_EQ(TotalOf("llama-3.2-1b"), 1'235'814'400);
  EXPECT_EQ(TotalOf("qwen2.5-0.5b"), 494'032'768);
  EXPECT_EQ(TotalOf("qwen3-0.6b"), 596'049'920);
  EXPECT_EQ(TotalOf("smollm2-135m"), 134'515'008);
}

TEST(Presets, AreListedByName) {
  EXPECT_THAT(PresetNames(),
              ElementsAre("classic", "gpt2", "llama-2-7b", "llama-3-8b", "llama-3.1-8b",
                          "llama-3.2-1b", "qwen2.5-0.5b", "qwen3-0.6b", "smollm2-135m"));
}

TEST(Presets, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const auto preset = Preset("gpt5");
  EXPECT_EQ(preset.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(preset.status().message()), HasSubstr("\"gpt5\""));
  EXPECT_THAT(std::string(preset.status().message()), HasSubstr("llama-3-8b"));
}

}  // namespace
}  // namespace floe::model
