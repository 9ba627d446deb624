#include "model/fit.h"

#include "gtest/gtest.h"

#include "model/accounting.h"
#include "model/dials.h"
#include "model/presets.h"
#include "model/training_memory.h"

namespace floe::model {
namespace {

constexpr int64_t kGb = 1'000'000'000;

TEST(Fit, CountsSequencesBesideTheWeights) {
  // Llama 2 7B in 16 bits: 13.48 GB of weights, and 0.5 MiB a token, 2 GiB for 4,096 of them.
  const Blueprint b = *Preset("llama-2-7b");
  EXPECT_EQ(SequencesThatFit(b, 24 * kGb, 4096, 2), 4);
  EXPECT_EQ(SequencesThatFit(b, 24 * kGb, 1024, 2), 19);
  EXPECT_EQ(SequencesThatFit(b, 14 * kGb, 4096, 2), 0);
  EXPECT_EQ(SequencesThatFit(b, 13 * kGb, 4096, 2), -1);
}

TEST(Fit, OneSequenceMoreThanFitsDoesNotFit) {
  const Blueprint b = *Preset("llama-3-8b");
  const int64_t memory = 72 * kGb;
  const int64_t most = SequencesThatFit(b, memory, 8192, 2);
  EXPECT_LE(EstimateServingMemory(b, most, 8192, 2).Total(), memory);
  EXPECT_GT(EstimateServingMemory(b, most + 1, 8192, 2).Total(), memory);
}

TEST(Fit, TheLargestFitsAndItsNeighboursDoNot) {
  const Blueprint style = *Preset("llama-3-8b");
  const auto fits = [](const Blueprint& b) {
    return EstimateTrainingMemory(b, {.batch_size = 1, .sequence_length = 2048}).Total() <=
           80 * kGb;
  };
  const auto largest = LargestThatFits(style, fits);
  ASSERT_TRUE(largest.has_value());
  EXPECT_TRUE(fits(*largest));
  EXPECT_FALSE(fits(Scaled(style, largest->hidden_size, largest->num_layers + 1)));
  // 16 bytes a parameter alone: never above 5 B; and no use is made of half of the memory only.
  const double size = static_cast<double>(CountParameters(*largest).Total());
  EXPECT_LT(size, 5e9);
  EXPECT_GT(size, 2e9);
}

TEST(Fit, TwiceTheMemoryHoldsAModelThatIsNoSmaller) {
  const Blueprint style = *Preset("qwen3-0.6b");
  int64_t before = 0;
  for (int64_t memory = kGb; memory <= 256 * kGb; memory *= 2) {
    const auto largest = LargestThatFits(
        style, [&](const Blueprint& b) { return SequencesThatFit(b, memory, 4096, 2) >= 1; });
    ASSERT_TRUE(largest.has_value()) << memory;
    const int64_t size = CountParameters(*largest).Total();
    EXPECT_GT(size, before);
    EXPECT_LT(2 * size, memory);
    before = size;
  }
}

TEST(Fit, NothingFitsWhereTheSmallestDoesNot) {
  EXPECT_FALSE(LargestThatFits(*Preset("gpt2"), [](const Blueprint&) { return false; }));
}

}  // namespace
}  // namespace floe::model
