#include "model/dials.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

#include "model/accounting.h"
#include "model/presets.h"

namespace floe::model {
namespace {

double Size(const Blueprint& b) { return static_cast<double>(CountParameters(b).Total()); }

TEST(Dials, AModelScaledToItsOwnSizeIsItself) {
  for (const std::string_view name : PresetNames()) {
    const Blueprint b = *Preset(name);
    if (b.hidden_size % WidthStep(b) != 0) continue;
    EXPECT_EQ(Scaled(b, b.hidden_size, b.num_layers), b) << name;
  }
}

TEST(Dials, EveryScaledModelIsValidAndInProportion) {
  for (const std::string_view name : PresetNames()) {
    const Blueprint style = *Preset(name);
    for (int64_t width = WidthStep(style); width < 20'000; width += 3 * WidthStep(style)) {
      const Blueprint b = Scaled(style, width, 7);
      ASSERT_TRUE(b.Validate().ok()) << name << " " << width << ": " << b.Validate();
      EXPECT_EQ(b.num_heads / b.num_kv_heads, style.num_heads / style.num_kv_heads);
      EXPECT_EQ(b.vocab_size, style.vocab_size);
    }
  }
}

TEST(Dials, ThePublishedModelsAreFoundFromTheirSizes) {
  for (const char* name : {"classic", "gpt2", "llama-2-7b", "llama-3-8b"}) {
    const Blueprint b = *Preset(name);
    EXPECT_EQ(NearestDials(b, CountParameters(b).Total(), 1).front(), b) << name;
  }
}

TEST(Dials, OtherSizesOfAStyleAreMetWithinAPercentInItsShape) {
  for (const char* name : {"llama-3-8b", "qwen3-0.6b", "gpt2"}) {
    const Blueprint style = *Preset(name);
    for (const double wanted : {1e9, 3e9, 7e9, 70e9}) {
      const auto nearest = NearestDials(style, static_cast<int64_t>(wanted), 3);
      ASSERT_EQ(nearest.size(), 3u);
      EXPECT_NEAR(Size(nearest.front()), wanted, 0.01 * wanted) << name;
      EXPECT_LE(ShapeDistance(style, nearest.front()), std::log(2) + 0.1) << name;
      // Heads to the width as the style's, where a close shape has that.
      EXPECT_EQ(nearest.front().num_heads * style.hidden_size,
                style.num_heads * nearest.front().hidden_size)
          << name;
    }
  }
}

TEST(Dials, SmallSizesAreMetToo) {
  for (const double wanted : {10e6, 30e6, 50e6, 124e6}) {
    const auto size = static_cast<int64_t>(wanted);
    EXPECT_NEAR(Size(NearestDials(DefaultStyle(size), size, 1).front()), wanted, 0.02 * wanted);
  }
}

TEST(Dials, SevenBillionWithoutAStyleHasTheShapeOfModelsOfThatSize) {
  const Blueprint b = NearestDials(DefaultStyle(7'000'000'000), 7'000'000'000, 1).front();
  EXPECT_NEAR(Size(b), 7e9, 7e7);
  EXPECT_GE(b.hidden_size, 3584);
  EXPECT_LE(b.hidden_size, 5120);
  EXPECT_GE(b.num_layers, 28);
  EXPECT_LE(b.num_layers, 48);
}

TEST(Dials, DefaultStylesAreValidOnBothSidesOfABillion) {
  EXPECT_TRUE(DefaultStyle(1).Validate().ok()) << DefaultStyle(1).Validate();
  EXPECT_TRUE(DefaultStyle(1'000'000'000'000).Validate().ok());
  EXPECT_TRUE(DefaultStyle(10'000'000).tie_embeddings);
}

TEST(Dials, ASizeThatTheVocabularyAlonePassesGivesTheSmallest) {
  const auto nearest = NearestDials(*Preset("llama-3-8b"), 1000, 5);
  ASSERT_FALSE(nearest.empty());
  EXPECT_EQ(nearest.front().num_layers, 1);
  EXPECT_EQ(nearest.front().hidden_size, 128);
}

TEST(Dials, ASizeBeyondEveryModelGivesTheLargest) {
  const auto nearest = NearestDials(*Preset("llama-3-8b"), INT64_MAX, 1);
  ASSERT_EQ(nearest.size(), 1u);
  EXPECT_GT(Size(nearest.front()), 1e14);
  EXPECT_TRUE(nearest.front().Validate().ok());
}

}  // namespace
}  // namespace floe::model
