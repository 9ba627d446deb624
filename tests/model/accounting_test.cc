#include "model/accounting.h"

#include "gtest/gtest.h"

#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

TEST(Accounting, GivesGpt2sParametersToTheirComponents) {
  const ParameterCounts counts = CountParameters(*Preset("gpt2"));
  EXPECT_EQ(counts.embeddings, (50257 + 1024) * 768);
  EXPECT_EQ(counts.attention, 12 * (768 * 3 * 768 + 768 * 768));
  EXPECT_EQ(counts.ffn, 12 * 2 * 768 * 3072);
  EXPECT_EQ(counts.norms, 12 * 4 * 768 + 2 * 768);
  EXPECT_EQ(counts.head, 0);
  EXPECT_EQ(counts.biases, 12 * (3 * 768 + 768 + 3072 + 768));
}

TEST(Accounting, GivesQwen3sParametersToTheirComponents) {
  const ParameterCounts counts = CountParameters(*Preset("qwen3-0.6b"));
  EXPECT_EQ(counts.embeddings, 151936 * 1024);
  EXPECT_EQ(counts.attention, 28 * (2 * 1024 * 2048 + 2 * 1024 * 1024));
  EXPECT_EQ(counts.ffn, 28 * 3 * 1024 * 3072);
  EXPECT_EQ(counts.norms, 28 * (2 * 1024 + 2 * 128) + 1024);
  EXPECT_EQ(counts.head, 0);
  EXPECT_EQ(counts.biases, 0);
}

TEST(Accounting, CountsAnUntiedHeadAndQwen2sBiases) {
  EXPECT_EQ(CountParameters(*Preset("llama-3-8b")).head, int64_t{128256} * 4096);
  EXPECT_EQ(CountParameters(*Preset("qwen2.5-0.5b")).biases, 24 * (896 + 128 + 128));
}

// Llama's layout: RMSNorm, no biases, no norms of queries and keys; the head is not tied. Anything
// else gives another total.
TEST(Accounting, TheClassicDialsHaveTwoThirdsOfTheirParametersInTheFfn) {
  Blueprint b = *Preset("classic");
  const ParameterCounts plain = CountParameters(b);
  EXPECT_EQ(plain.Total(), 6'704'861'184);
  EXPECT_EQ(plain.embeddings, 131'072'000);
  EXPECT_EQ(plain.attention, 2'147'483'648);
  EXPECT_EQ(plain.ffn, 2 * plain.attention);
  EXPECT_EQ(plain.norms, 65 * 4096);
  EXPECT_EQ(plain.head, plain.embeddings);
  EXPECT_EQ(plain.biases, 0);
  b.ffn = FfnKind::kGated;
  EXPECT_EQ(CountParameters(b).Total(), 8'852'344'832);
  b.family = Family::kQwen3;  // a scale of 128 a layer for queries, and one for keys
  EXPECT_EQ(CountParameters(b).Total(), 8'852'344'832 + 32 * 2 * 128);
}

TEST(Accounting, CountsEveryTensorOfEveryLayer) {
  for (const std::string_view name : PresetNames()) {
    int64_t all = 0;
    for (const TensorSpec& spec : TensorsOf(*Preset(name))) {
      int64_t count = 1;
      for (const int64_t dim : spec.shape) count *= dim;
      all += count;
    }
    EXPECT_EQ(CountParameters(*Preset(name)).Total(), all) << name;
  }
}

TEST(Accounting, ATiedHeadIsWorkAllTheSame) {
  Blueprint b = SmallBlueprint(Family::kQwen3);
  b.tie_embeddings = true;
  const int64_t tied = ForwardFlopsPerToken(b, 10);
  b.tie_embeddings = false;
  EXPECT_EQ(ForwardFlopsPerToken(b, 10), tied);
}

TEST(Accounting, WorkATokenIsTwoAWeightAndFourAnAttendedNumber) {
  const Blueprint b = SmallBlueprint(Family::kQwen3);
  // Each layer: q and o of 16x16, k and v of 8x16, three FFN matrices of 24x16; the head of 32x16.
  const int64_t weights = 2 * (2 * 256 + 2 * 128 + 3 * 384) + 512;
  EXPECT_EQ(ForwardFlopsPerToken(b, 10), 2 * weights + 4 * 2 * 16 * 10);
  EXPECT_EQ(TrainingFlopsPerToken(b, 10), 3 * ForwardFlopsPerToken(b, 10));
}

TEST(Accounting, KeysAndValuesATokenFollowTheKvHeads) {
  // Llama-3-8B in 16 bits: 128 KiB a token; without grouped heads it would be four times as much.
  Blueprint b = *Preset("llama-3-8b");
  EXPECT_EQ(KvBytesPerToken(b, 2), 131072);
  b.num_kv_heads = b.num_heads;
  EXPECT_EQ(KvBytesPerToken(b, 2), 4 * 131072);
}

TEST(Accounting, ServingHoldsWeightsAndTheCacheOfEverySequence) {
  const Blueprint b = *Preset("llama-3-8b");
  const ServingMemory memory = EstimateServingMemory(b, 3, 1000, 2);
  EXPECT_EQ(memory.weights, 8'030'261'248 * 2);
  EXPECT_EQ(memory.kv_cache, 131072 * int64_t{3000});
}

TEST(Accounting, TheLargestBlueprintCountsWithoutOverflow) {
  const Blueprint b = LargestBlueprint();
  ASSERT_TRUE(b.Validate().ok()) << b.Validate();
  EXPECT_GT(CountParameters(b).Total(), 0);
  EXPECT_GT(TrainingFlopsPerToken(b, b.context), 0);
  EXPECT_GT(EstimateServingMemory(b, 1 << 20, b.context, 4).Total(), 0);
}

}  // namespace
}  // namespace floe::model
