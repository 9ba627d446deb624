#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/training_memory.h"
#include "trainer/alignment/spec/align_memory.h"
#include "trainer/spec/memory.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

model::Blueprint Dials() {
  model::Blueprint dials;
  dials.vocab_size = 32000;
  dials.hidden_size = 1024;
  dials.num_layers = 12;
  dials.num_heads = 16;
  dials.num_kv_heads = 16;
  dials.head_dim = 64;
  dials.ffn_hidden = 2816;
  dials.context = 1024;
  return dials;
}

TrainSettings Settings() {
  TrainSettings train;
  train.batch_size = 8;
  train.sequence_length = 1024;
  return train;
}

absl::Status Check(const model::Blueprint& dials, const TrainSettings& train, int64_t mib) {
  return CheckMemory(MemoryNeedOf(dials, train), mib, "lower batch_size");
}

// The estimate itself, rounded up to whole MiB.
int64_t Needed() {
  const int64_t bytes =
      model::EstimateTrainingMemory(Dials(), {.batch_size = 8, .sequence_length = 1024}).Total();
  return (bytes + (1 << 20) - 1) >> 20;
}

TEST(MemoryNeedTest, WhatFitsToTheLastMebibyteIsTaken) {
  ASSERT_TRUE(Dials().Validate().ok());
  EXPECT_TRUE(Check(Dials(), Settings(), Needed()).ok());
  const absl::Status refused = Check(Dials(), Settings(), Needed() - 1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("activations"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("lower batch_size"));
}

TEST(MemoryNeedTest, NothingIsRefusedWhereTheMemoryIsNotKnown) {
  model::Blueprint dials = Dials();
  dials.num_layers = 1000;
  EXPECT_TRUE(Check(dials, Settings(), 0).ok());
}

TEST(MemoryNeedTest, ProcessesShareOneMachineAndItsSequences) {
  TrainSettings train = Settings();
  train.processes = 4;
  const absl::Status refused = Check(Dials(), train, Needed());
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument)
      << "four times the weights and gradients, a quarter of the activations each";
  EXPECT_THAT(std::string(refused.message()), HasSubstr("in 4 processes"));
  EXPECT_TRUE(Check(Dials(), train, 4 * Needed()).ok());
}

TEST(MemoryNeedTest, LayersComputedAgainNeedLessAndBf16CopiesWeights) {
  TrainSettings train = Settings();
  EXPECT_FALSE(Check(Dials(), train, Needed() / 2).ok());
  train.precision = PrecisionKind::kBf16;
  EXPECT_FALSE(Check(Dials(), train, Needed()).ok());
  train.activation_checkpointing = true;
  EXPECT_TRUE(Check(Dials(), train, Needed() / 2).ok());
}

TEST(MemoryNeedTest, SmallerMicroBatchesNeedLess) {
  TrainSettings train = Settings();
  train.batch_size = 2;
  train.gradient_accumulation = 4;
  EXPECT_TRUE(Check(Dials(), train, Needed() * 3 / 4).ok());
  EXPECT_FALSE(Check(Dials(), Settings(), Needed() * 3 / 4).ok());
}

TEST(MemoryNeedTest, AnAlignmentJobNeedsWhatItsLongestTextsDoAndAPairIsTwoTexts) {
  AlignSpec spec;
  spec.sequence_length = 1024;
  spec.train = Settings();
  EXPECT_EQ(AlignMemoryNeed(AlignKind::kSft, Dials(), spec).Total(),
            MemoryNeedOf(Dials(), Settings()).Total());
  spec.train.batch_size = 4;
  EXPECT_EQ(AlignMemoryNeed(AlignKind::kDpo, Dials(), spec).Total(),
            MemoryNeedOf(Dials(), Settings()).Total());
  spec.sequence_length = 512;
  EXPECT_LT(AlignMemoryNeed(AlignKind::kDpo, Dials(), spec).Total(),
            MemoryNeedOf(Dials(), Settings()).Total());
}

}  // namespace
}  // namespace floe::trainer
