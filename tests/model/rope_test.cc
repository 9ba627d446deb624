#include "model/rope.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "model/checkpoint.h"
#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

RopeScaling Llama3() { return {RopeScalingKind::kLlama3, 8, 1, 4, 32}; }

// config.json of published models, and of small ones where all three bands occur, with what
// transformers makes of it: tests/trainer/families/make_goldens.py.
TEST(Rope, FrequenciesAreThoseOfTransformers) {
  const std::filesystem::path folder = FLOE_TEST_FAMILIES;
  const Json golden = Json::parse(*ReadFile(folder / "inverse_frequencies.json"));
  for (const auto& [name, model] : golden["models"].items()) {
    const auto b = ParseConfigJson(model["config"].dump());
    ASSERT_TRUE(b.ok()) << name << ": " << b.status();
    const auto ours = RopeInverseFrequencies(b->head_dim, b->rope_theta, b->rope_scaling);
    const auto theirs = model["inverse_frequencies"].get<std::vector<double>>();
    ASSERT_EQ(ours.size(), theirs.size()) << name;
    for (size_t i = 0; i < ours.size(); ++i) {  // theirs are of 32 bits
      EXPECT_NEAR(ours[i], theirs[i], 1e-6 * theirs[i]) << name << ", pair " << i;
    }
    if (const auto preset = Preset(name); preset.ok()) {
      EXPECT_EQ(*b, *preset) << name;
    }
  }
  EXPECT_EQ(golden["models"].size(), 4u);
}

TEST(Rope, WithoutScalingPairsTurnByPowersOfTheta) {
  EXPECT_THAT(RopeInverseFrequencies(4, 100, {}), ElementsAre(1, 0.1));
  EXPECT_THAT(RopeInverseFrequencies(4, 100, {.kind = RopeScalingKind::kLinear, .factor = 4}),
              ElementsAre(0.25, 0.025));
}

TEST(Rope, Llama3LeavesShortWavesAndDividesLongOnes) {
  // Wavelengths 6.3, 63, 628 and 6283 beside the borders 20 and 400.
  const RopeScaling scaling{RopeScalingKind::kLlama3, 8, 1, 20, 400};
  const auto plain = RopeInverseFrequencies(8, 1e4, {});
  const auto scaled = RopeInverseFrequencies(8, 1e4, scaling);
  EXPECT_EQ(scaled[0], plain[0]);
  EXPECT_LT(scaled[1], plain[1]);
  EXPECT_GT(scaled[1], plain[1] / 8);
  EXPECT_EQ(scaled[2], plain[2] / 8);
  EXPECT_EQ(scaled[3], plain[3] / 8);
}

TEST(Rope, EveryWrongDialIsNamed) {
  EXPECT_THAT(MistakesOf(Llama3(), 32), IsEmpty());
  EXPECT_THAT(MistakesOf({RopeScalingKind::kLlama3, 0.5, 0, -1, 33}, 32),
              ElementsAre(HasSubstr("rope_scaling.factor is 0.5: must be from 1"),
                          HasSubstr("rope_scaling.low_freq_factor is 0"),
                          HasSubstr("rope_scaling.high_freq_factor is -1"),
                          HasSubstr("rope_scaling.original_max_position_embeddings is 33: must be "
                                    "from 1 to the context, 32")));
  EXPECT_THAT(MistakesOf({RopeScalingKind::kLlama3, kNaN, kNaN, kNaN, 0}, 32).size(), 4);
  EXPECT_THAT(MistakesOf({RopeScalingKind::kLlama3, 8, 4, 4, 32}, 32),
              ElementsAre(HasSubstr("above low_freq_factor, 4")));
  EXPECT_THAT(MistakesOf({.kind = RopeScalingKind::kLinear, .factor = 1.0 / 0.0}, 32),
              ElementsAre(HasSubstr("rope_scaling.factor is inf")));
}

TEST(Rope, ABlueprintAnswersForItsScaling) {
  Blueprint b = SmallBlueprint(Family::kLlama);
  b.rope_scaling = Llama3();
  EXPECT_TRUE(b.Validate().ok()) << b.Validate();
  b.context = 16;
  EXPECT_THAT(std::string(b.Validate().message()),
              HasSubstr("original_max_position_embeddings is 32"));
  Blueprint gpt2 = SmallBlueprint(Family::kGpt2);
  gpt2.rope_scaling = Llama3();
  EXPECT_THAT(std::string(gpt2.Validate().message()), HasSubstr("gpt2 has no RoPE"));
}

TEST(Rope, IsShownInOneLine) {
  EXPECT_EQ(ShownRopeScaling({}), "default");
  EXPECT_EQ(ShownRopeScaling(Llama3()),
            "llama3 (factor 8, low_freq_factor 1, high_freq_factor 4, "
            "original_max_position_embeddings 32)");
}

}  // namespace
}  // namespace floe::model
