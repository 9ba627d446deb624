#include "model/training_memory.h"

#include "gtest/gtest.h"

#include "model/accounting.h"
#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

constexpr int64_t kGpt2Parameters = 124'439'808;

TEST(TrainingMemory, HoldsWeightsGradientsAndTwoMomentsIn32Bits) {
  const TrainingMemory memory = EstimateTrainingMemory(*Preset("gpt2"), {});
  EXPECT_EQ(memory.weights, 4 * kGpt2Parameters);
  EXPECT_EQ(memory.gradients, 4 * kGpt2Parameters);
  EXPECT_EQ(memory.optimizer, 8 * kGpt2Parameters);
  EXPECT_EQ(memory.Total(), memory.weights + memory.gradients + memory.optimizer +
                                memory.activations + memory.workspace);
}

TEST(TrainingMemory, MuonHoldsOneMomentForTheMatricesOfTheLayers) {
  const Blueprint b = *Preset("gpt2");
  const ParameterCounts counts = CountParameters(b);
  EXPECT_EQ(EstimateTrainingMemory(b, {.optimizer = OptimizerKind::kMuon}).optimizer,
            4 * (2 * counts.Total() - counts.attention - counts.ffn));
}

TEST(TrainingMemory, MixedPrecisionAddsACopyOfTheWeightsAndHalvesTheActivations) {
  const Blueprint b = *Preset("llama-3-8b");
  const TrainingMemory f32 = EstimateTrainingMemory(b, {});
  const TrainingMemory mixed =
      EstimateTrainingMemory(b, {.precision = TrainingPrecision::kBf16Mixed});
  EXPECT_EQ(2 * mixed.weights, 3 * f32.weights);
  EXPECT_EQ(mixed.gradients, f32.gradients);
  EXPECT_EQ(mixed.optimizer, f32.optimizer);
  // The statistics stay in 32 bits: a little more than half.
  EXPECT_GT(2 * mixed.activations, f32.activations);
  EXPECT_LT(1.98 * mixed.activations, f32.activations);
}

TEST(TrainingMemory, ActivationsGrowWithTokensAndNotWithTheirSquare) {
  const Blueprint b = *Preset("smollm2-135m");
  const auto activations = [&](int64_t batch, int64_t length) {
    return EstimateTrainingMemory(b, {.batch_size = batch, .sequence_length = length}).activations;
  };
  EXPECT_EQ(activations(8, 256), 2 * activations(4, 256));
  EXPECT_EQ(activations(4, 512), activations(8, 256));
  EXPECT_EQ(activations(1, 0), activations(1, b.context));
}

TEST(TrainingMemory, CheckpointingKeepsOneLayerAndTheInputsOfAll) {
  Blueprint b = *Preset("llama-3-8b");
  const auto activations = [&](bool checkpointing) {
    return EstimateTrainingMemory(b, {.batch_size = 1,
                                      .sequence_length = 2048,
                                      .activation_checkpointing = checkpointing})
        .activations;
  };
  EXPECT_LT(activations(true), activations(false) / 8);
  const int64_t before = activations(true);
  b.num_layers += 10;
  EXPECT_EQ(activations(true) - before, 10 * 2048 * b.hidden_size * 4);
}

TEST(TrainingMemory, ShardingDividesTheOptimizerAlone) {
  const Blueprint b = *Preset("gpt2");
  const TrainingMemory alone = EstimateTrainingMemory(b, {.devices = 8});
  const TrainingMemory shared = EstimateTrainingMemory(b, {.devices = 8, .shard_optimizer = true});
  EXPECT_EQ(shared.optimizer, alone.optimizer / 8);
  EXPECT_EQ(shared.Total() - shared.optimizer, alone.Total() - alone.optimizer);
}

TEST(TrainingMemory, TheLogitsOfALargeVocabularyNeverExistWhole) {
  Blueprint b = SmallBlueprint(Family::kQwen3);
  b.vocab_size = 1 << 18;
  const TrainingMemory memory =
      EstimateTrainingMemory(b, {.batch_size = 64, .sequence_length = 64});
  EXPECT_LT(memory.workspace, int64_t{64} * 64 * b.vocab_size * 4 / 50);
}

TEST(TrainingMemory, TheLargestBlueprintCountsWithoutOverflow) {
  const Blueprint b = LargestBlueprint();
  const int64_t total = EstimateTrainingMemory(b, {.batch_size = 1 << 20}).Total();
  EXPECT_GT(total, 0);
  EXPECT_GE(total, EstimateTrainingMemory(b, {.batch_size = 1}).Total());
}

}  // namespace
}  // namespace floe::model
