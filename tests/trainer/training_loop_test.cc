// Going back: which step diverges, to which state training goes, and that nothing but the data that
// led astray is missing afterwards. What is learnt is scripted here.
#include "trainer/internal/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "base/clock.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/trainer/recorder.h"
#include "tests/trainer/tiny_model.h"

namespace floe::trainer {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What one item of the data does to the step that learns from it.
struct Harm {
  double loss = 1;
  double gradient = 0;  // added to one number of the gradient
};

struct Script {
  std::map<int64_t, Harm> harms;             // by item
  int64_t missing_from = 0, missing_to = 0;  // items that the data does not have
};

// Items 0, 1, 2, …, one a step: each pulls at the weights in its own way.
class Scripted final : public Objective {
 public:
  Scripted(Transformer& transformer, const Script& script)
      : transformer_(transformer), script_(script) {}

  absl::StatusOr<StepResult> AddGradients() override {
    if (cursor_.position == script_.missing_from) cursor_.position = script_.missing_to;
    const int64_t item = cursor_.position++;
    const auto found = script_.harms.find(item);
    const Harm harm = found == script_.harms.end() ? Harm{} : found->second;
    const at::NoGradGuard no_grad;
    const double pull = 0.01 * static_cast<double>(item % 7 - 3);
    for (Parameter& parameter : transformer_.parameters()) {
      parameter.value.mutable_grad() = parameter.value.detach() * 0.1 + pull;
    }
    transformer_.parameters()[0].value.mutable_grad().view({-1})[5] += harm.gradient;
    return StepResult{.loss = harm.loss, .tokens = 1, .metrics = {}};
  }
  DataCursor cursor() const override { return cursor_; }
  absl::Status Seek(const DataCursor& cursor) override {
    cursor_ = cursor;
    return absl::OkStatus();
  }
  std::optional<HeldOutResult> Evaluate() override { return HeldOutResult{1, {}}; }
  void Sample(TrainingObserver&, std::string_view) override {}
  double FlopsPerToken() const override { return 1; }

 private:
  Transformer& transformer_;
  const Script& script_;
  DataCursor cursor_{.rng = {1, 2, 3, 4}};
};

class TrainingLoopTest : public testing::Test {
 protected:
  TrainingLoopTest() {
    at::set_num_threads(1);
    settings_.steps = 40;
    settings_.warmup_steps = 3;
    settings_.eval_interval = 1;  // each step is told
    settings_.checkpoint_interval = 10;
    settings_.max_rewinds = 3;
    settings_.spike_factor = 2;
  }

  struct Result {
    absl::Status status;
    Recorder told;
    std::vector<float> weights;
  };

  // One attempt of the run in `name`, from its newest state on. `on_step` is called before the
  // step's state is saved.
  Result Run(const std::string& name, const Script& script,
             const std::function<void(int64_t step)>& on_step = nullptr,
             std::stop_token stop = {}) {
    Result result;
    if (on_step) {
      result.told.on_progress = [&](const TrainProgress& progress) { on_step(progress.step); };
    }
    Transformer transformer = Transformer::Create(TinyBlueprint(), 1).value();
    Scripted objective(transformer, script);
    StateStore store = Store(name);
    DataParallel alone(nullptr, transformer.parameters());
    TrainingLoop loop(
        {transformer, objective, store, clock_, alone},
        {.settings = settings_, .identity = "one", .folder = (folder_ / name).string()});
    result.status = loop.Run(result.told, stop).status();
    result.told.on_progress = nullptr;
    for (const Parameter& parameter : transformer.parameters()) {
      const float* values = parameter.value.data_ptr<float>();
      result.weights.insert(result.weights.end(), values, values + parameter.value.numel());
    }
    return result;
  }
  // As Run, with a disk that is full from the report of `full` to that of `free`.
  Result RunWithAFullDisk(const std::string& name, const Script& script, int64_t full,
                          int64_t free) {
    std::optional<test::FileSizeLimit> limit;
    if (full == 0) limit.emplace(kRoom);
    return Run(name, script, [&](int64_t step) {
      if (step == free) limit.reset();
      if (step == full) limit.emplace(kRoom);
    });
  }
  StateStore Store(const std::string& name) { return StateStore::Open(folder_ / name).value(); }

  static constexpr rlim_t kRoom = 20'000;  // a state has more bytes
  const test::TempDir folder_;
  const SystemClock clock_;
  TrainSettings settings_;
};

// The 14th step: back to step 10, and on with item 14.
TEST_F(TrainingLoopTest, WhatIsNoNumberIsGoneBackFromAndLeavesNoTrace) {
  const Result without = Run("without", {.missing_from = 10, .missing_to = 14});
  ASSERT_TRUE(without.status.ok()) << without.status;
  const auto expect_recovered = [&](const std::string& name, const Harm& harm,
                                    const std::string& what) {
    const Result run = Run(name, {.harms = {{13, harm}}});
    ASSERT_TRUE(run.status.ok()) << run.status;
    EXPECT_THAT(run.told.lines,
                Contains(what + " at step 14: back to the state of step 10 (rewind 1 of 3); the "
                                "data of the 4 steps since is skipped"));
    EXPECT_EQ(run.weights, without.weights) << name;
  };
  expect_recovered("loss", {.loss = kNaN, .gradient = kNaN}, "the loss is no finite number");
  expect_recovered("infinite", {.loss = kInfinity}, "the loss is no finite number");
  expect_recovered("gradient", {.gradient = kNaN}, "the gradient's norm is no finite number");
  expect_recovered("large", {.gradient = kInfinity}, "the gradient's norm is no finite number");
}

TEST_F(TrainingLoopTest, AGradientThatIsNoNumberEndsTheRunWithoutRewinds) {
  settings_.max_rewinds = 0;
  settings_.spike_factor = 0;
  const Result run = Run("a", {.harms = {{13, {.gradient = kNaN}}}});
  EXPECT_EQ(run.status.code(), absl::StatusCode::kFailedPrecondition) << run.status;
  EXPECT_THAT(run.status.message(),
              HasSubstr("diverged: the gradient's norm is no finite number at step 14"));
  EXPECT_THAT(Store("a").Steps(), ElementsAre(10));
  for (const float weight : run.weights) ASSERT_TRUE(std::isfinite(weight));
}

TEST_F(TrainingLoopTest, ASpikeBehindAStateThatCouldNotBeSavedGoesBackToTheOneBefore) {
  const Result without = Run("without", {.missing_from = 10, .missing_to = 26});
  const Result run = RunWithAFullDisk("a", {.harms = {{25, {.loss = 3}}}}, 20, 21);
  ASSERT_TRUE(run.status.ok()) << run.status;
  EXPECT_THAT(run.told.lines, Contains(HasSubstr("no state saved at step 20")));
  EXPECT_THAT(run.told.lines,
              Contains("the loss 3.0000 is more than 2 times the recent mean 1.0000 at step 26: "
                       "back to the state of step 10, as that of step 20 is not there (rewind 1 of "
                       "3); the data of the 16 steps since is skipped"));
  EXPECT_EQ(run.weights, without.weights);
}

TEST_F(TrainingLoopTest, ADamagedStateIsToldAndTheOneBeforeGoneBackTo) {
  const Result without = Run("without", {.missing_from = 10, .missing_to = 26});
  const Result run = Run("a", {.harms = {{25, {.loss = 3}}}}, [&](int64_t step) {
    const auto path = Store("a").PathOf(20);
    if (step == 22) std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  });
  ASSERT_TRUE(run.status.ok()) << run.status;
  EXPECT_THAT(run.told.lines, Contains(HasSubstr("state-000000000020.floe is damaged")));
  EXPECT_THAT(run.told.lines, Contains(HasSubstr("back to the state of step 10, as")));
  EXPECT_EQ(run.weights, without.weights);
}

TEST_F(TrainingLoopTest, WithoutAnEarlierStateTheOneOfAnInterruptionIsGoneBackTo) {
  std::stop_source stop;
  {
    std::optional<test::FileSizeLimit> full;
    const Result first = Run(
        "a", {},
        [&](int64_t step) {
          if (step == 20) full.emplace(kRoom);
          if (step == 21) full.reset();
          if (step == 23) stop.request_stop();
        },
        stop.get_token());
    EXPECT_EQ(first.status.code(), absl::StatusCode::kCancelled) << first.status;
  }
  ASSERT_THAT(Store("a").Steps(), ElementsAre(10, 23));
  std::filesystem::remove(Store("a").PathOf(10));
  const Result run = Run("a", {.harms = {{25, {.loss = 3}}}});
  ASSERT_TRUE(run.status.ok()) << run.status;
  EXPECT_THAT(run.told.lines, Contains(HasSubstr("back to the state of step 23, as that of step 20 "
                                                 "is not there")));
}

TEST_F(TrainingLoopTest, WhereNoStateCouldBeSavedTheEndSaysSo) {
  const Result run = RunWithAFullDisk("a", {.harms = {{25, {.loss = 3}}}}, 0, 100);
  EXPECT_EQ(run.status.code(), absl::StatusCode::kFailedPrecondition) << run.status;
  EXPECT_THAT(run.status.message(),
              AllOf(HasSubstr("times the recent mean 1.0000 at step 26"),
                    HasSubstr("no saved state to go back to"), HasSubstr("make room in"),
                    HasSubstr((folder_ / "a").string())));
}

}  // namespace
}  // namespace floe::trainer
