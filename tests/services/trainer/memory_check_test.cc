#include "services/trainer/memory_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/training_memory.h"

namespace floe::services::trainer {
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

floe::trainer::TrainSettings Settings() {
  floe::trainer::TrainSettings train;
  train.batch_size = 8;
  train.sequence_length = 1024;
  return train;
}

// The estimate itself, rounded up to whole MiB.
int64_t Needed() {
  const int64_t bytes =
      model::EstimateTrainingMemory(Dials(), {.batch_size = 8, .sequence_length = 1024}).Total();
  return (bytes + (1 << 20) - 1) >> 20;
}

TEST(MemoryCheckTest, WhatFitsToTheLastMebibyteIsTaken) {
  ASSERT_TRUE(Dials().Validate().ok());
  EXPECT_TRUE(CheckMemory(Dials(), Settings(), Needed()).ok());
  const absl::Status refused = CheckMemory(Dials(), Settings(), Needed() - 1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("activations"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("lower batch_size"));
}

TEST(MemoryCheckTest, NothingIsRefusedWhereTheMemoryIsNotKnown) {
  model::Blueprint dials = Dials();
  dials.num_layers = 1000;
  EXPECT_TRUE(CheckMemory(dials, Settings(), 0).ok());
}

TEST(MemoryCheckTest, ProcessesShareOneMachineAndItsSequences) {
  floe::trainer::TrainSettings train = Settings();
  train.processes = 4;
  const absl::Status refused = CheckMemory(Dials(), train, Needed());
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument)
      << "four times the weights and gradients, a quarter of the activations each";
  EXPECT_THAT(std::string(refused.message()), HasSubstr("in 4 processes"));
  EXPECT_TRUE(CheckMemory(Dials(), train, 4 * Needed()).ok());
}

TEST(MemoryCheckTest, LayersComputedAgainNeedLessAndBf16CopiesWeights) {
  floe::trainer::TrainSettings train = Settings();
  EXPECT_THAT(std::string(CheckMemory(Dials(), train, Needed() / 2).message()),
              HasSubstr("set activation_checkpointing: true"));
  train.precision = floe::trainer::PrecisionKind::kBf16;
  EXPECT_FALSE(CheckMemory(Dials(), train, Needed()).ok());
  train.activation_checkpointing = true;
  EXPECT_TRUE(CheckMemory(Dials(), train, Needed() / 2).ok());
}

TEST(MemoryCheckTest, SmallerMicroBatchesNeedLess) {
  floe::trainer::TrainSettings train = Settings();
  train.batch_size = 2;
  train.gradient_accumulation = 4;
  EXPECT_TRUE(CheckMemory(Dials(), train, Needed() * 3 / 4).ok());
  EXPECT_FALSE(CheckMemory(Dials(), Settings(), Needed() * 3 / 4).ok());
}

}  // namespace
}  // namespace floe::services::trainer
