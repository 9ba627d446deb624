// The planner's estimate beside what LibTorch really allocates in steps of training.
#include "model/training_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include "trainer/internal/optimizer.h"
#include "trainer/internal/train_step.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {
namespace {

// Sums what tensors made by this thread hold, and the most that they held at once.
class AllocationCounter final : public c10::MemoryReportingInfoBase {
 public:
  // One of the two is LibTorch's; which one depends on its version.
  void reportMemoryUsage(void*, int64_t size, int64_t, int64_t, c10::Device) { Count(size); }
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) { Count(size); }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak() const { return peak_; }

 private:
  void Count(int64_t size) {
    held_ += size;
    peak_ = std::max(peak_, held_);
  }
  int64_t held_ = 0, peak_ = 0;
};

struct Measured {
  int64_t allocated = 0;  // tensors at their most, the optimizer's among them
  int64_t estimated = 0;
};

Measured TrainTwoSteps(const model::Blueprint& blueprint, int64_t batch_size, int64_t length,
                       bool checkpointing = false) {
  at::set_num_threads(1);
  const auto counter = std::make_shared<AllocationCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  Transformer transformer = Transformer::Create(blueprint, 1).value();
  transformer.set_execution({.activation_checkpointing = checkpointing});
  Optimizer optimizer(transformer.parameters(), TrainSettings());
  for (int64_t step = 1; step <= 2; ++step) {
    // Two micro-batches: the gradients of the first are there while the second goes forward.
    const MicroBatch batch = {at::randint(blueprint.vocab_size, {batch_size, length}, at::kLong),
                              at::randint(blueprint.vocab_size, {batch_size * length}, at::kLong)};
    AccumulateGradients(transformer, {batch, batch});
    optimizer.Step(step, 1e-3, GradNorm(transformer.parameters()));
  }
  const model::TrainingMemory estimate =
      model::EstimateTrainingMemory(blueprint, {.batch_size = batch_size,
                                                .sequence_length = length,
                                                .activation_checkpointing = checkpointing});
  return {counter->peak(), estimate.Total()};
}

model::Blueprint Dials(int64_t vocab_size, int64_t num_layers) {
  return {.vocab_size = vocab_size,
          .hidden_size = 64,
          .num_layers = num_layers,
          .num_heads = 4,
          .num_kv_heads = 2,
          .head_dim = 16,
          .ffn_hidden = 176,
          .context = 128,
          .rope_theta = 1e4};
}

void ExpectNear(const Measured& measured) {
  const double ratio =
      static_cast<double>(measured.estimated) / static_cast<double>(measured.allocated);
  EXPECT_GT(ratio, 0.92) << measured.estimated << " estimated, " << measured.allocated << " used";
  EXPECT_LT(ratio, 1.1) << measured.estimated << " estimated, " << measured.allocated << " used";
}

TEST(TrainingMemoryTest, TheEstimateIsWhatStepsOfManyTokensAllocate) {
  ExpectNear(TrainTwoSteps(Dials(512, 6), 16, 128));
}

TEST(TrainingMemoryTest, LayersComputedAgainTakeLessAndTheEstimateKnowsIt) {
  const Measured kept = TrainTwoSteps(Dials(512, 12), 8, 128);
  const Measured again = TrainTwoSteps(Dials(512, 12), 8, 128, /*checkpointing=*/true);
  ExpectNear(again);
  EXPECT_LT(2 * again.allocated, kept.allocated);
}

TEST(TrainingMemoryTest, TheEstimateIsWhatStepsOfFewTokensAllocate) {
  ExpectNear(TrainTwoSteps(Dials(512, 6), 1, 32));
}

TEST(TrainingMemoryTest, TheEstimateHoldsForALargeVocabulary) {
  ExpectNear(TrainTwoSteps(Dials(20000, 2), 2, 64));
}

TEST(TrainingMemoryTest, TheEstimateHoldsForAnUntiedHeadAndTheOtherFamilies) {
  for (const model::Family family : {model::Family::kLlama, model::Family::kQwen2}) {
    model::Blueprint dials = Dials(2000, 3);
    dials.family = family;
    dials.tie_embeddings = false;
    ExpectNear(TrainTwoSteps(dials, 4, 64));
  }
}

}  // namespace
}  // namespace floe::trainer
