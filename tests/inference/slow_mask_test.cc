// Requests whose next mask takes long, and those beside them.
#include <algorithm>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/scheduler/scheduler.h"
#include "tests/inference/answer.h"
#include "tests/inference/fake_engine.h"

namespace floe::inference {
namespace {

// Allows everything, each time when it was asked `calls` times; then the last time to say no.
class SlowConstraint final : public TokenConstraint {
 public:
  explicit SlowConstraint(int calls)
      : calls_(calls), mask_((FakeEngine::kVocab + 63) / 64, ~0ULL) {}

  bool Prepare(int64_t work) override {
    EXPECT_GT(work, 0);
    return ++asked_ >= calls_;
  }
  absl::StatusOr<std::span<const uint64_t>> Allowed() override {
    EXPECT_GE(asked_, calls_) << "the scheduler's thread waits for it";
    return std::span<const uint64_t>(mask_);
  }
  absl::Status Accept(int32_t) override {
    asked_ = 0;
    return absl::OkStatus();
  }
  bool complete() const override { return false; }

 private:
  const int calls_;
  int asked_ = 0;
  const std::vector<uint64_t> mask_;
};

class SlowMaskTest : public testing::Test {
 protected:
  SlowMaskTest() { gate_.AllowAll(); }

  void Start(SpeculationLimits speculation = {}) {
    scheduler_ = std::make_unique<Scheduler>(
        std::make_unique<FakeEngine>(gate_, 16), clock_,
        SchedulerOptions{.speculation = speculation, .own_thread = false});
  }
  RequestId Submit(std::vector<int32_t> prompt, int64_t tokens, int calls, Answer& answer) {
    Request request = Ask(std::move(prompt), tokens);
    if (calls > 0) request.constraint = std::make_unique<SlowConstraint>(calls);
    return scheduler_->Submit(std::move(request), answer.sink()).value();
  }

  SystemClock clock_;
  StepGate gate_;
  Answer slow_, plain_;
  std::unique_ptr<Scheduler> scheduler_;  // ends before the answers
};

TEST_F(SlowMaskTest, TheOthersGoOnMeanwhile) {
  Start();
  Submit({5}, 4, 5, slow_);
  Submit({50}, 30, 0, plain_);
  for (size_t step = 1; step <= 20; ++step) {
    ASSERT_TRUE(scheduler_->RunOnce() || step == 20);
    EXPECT_EQ(plain_.ids().size(), step);
    EXPECT_EQ(slow_.ids().size(), step / 5);
  }
  EXPECT_TRUE(slow_.finished());
  EXPECT_THAT(slow_.ids(), testing::ElementsAre(6, 7, 8, 9));
  // It sat out, and computed nothing meanwhile.
  const auto parts = gate_.parts();
  EXPECT_EQ(std::count_if(parts.begin(), parts.end(),
                          [](const std::vector<int64_t>& step) { return step.size() == 2; }),
            4);
}

TEST_F(SlowMaskTest, AloneItGetsThereWithoutStepsOfTheEngine) {
  Start();
  Submit({5}, 3, 7, slow_);
  int runs = 0;
  while (scheduler_->RunOnce()) ++runs;
  EXPECT_EQ(runs + 1, 3 * 7);
  EXPECT_EQ(gate_.parts().size(), 3u);
  EXPECT_THAT(slow_.ids(), testing::ElementsAre(6, 7, 8));
}

TEST_F(SlowMaskTest, OneThatIsCancelledMeanwhileGivesItsPlaceBack) {
  Start();
  const RequestId id = Submit({5}, 3, 4, slow_);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(scheduler_->RunOnce());
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 15);
  scheduler_->Cancel(id);
  EXPECT_FALSE(scheduler_->RunOnce());
  EXPECT_EQ(slow_.Wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 16);
  EXPECT_THAT(slow_.ids(), testing::ElementsAre(6));
}

// 6, 7, 8, … stood in the prompt, so they are guessed; each needs its own mask all the same.
TEST_F(SlowMaskTest, GuessesWaitForTheirMasksToo) {
  std::vector<int32_t> prompt;
  for (int32_t id = 1; id <= 12; ++id) prompt.push_back(id);
  prompt.push_back(1);
  for (const int calls : {0, 1, 3}) {
    Start({.max_draft = 4, .max_step_tokens = 16});
    Answer answer;
    Submit(prompt, 8, calls, answer);
    while (scheduler_->RunOnce()) {
    }
    EXPECT_THAT(answer.ids(), testing::ElementsAre(2, 3, 4, 5, 6, 7, 8, 9)) << calls;
    EXPECT_EQ(scheduler_->stats().accepted_tokens > 0, calls < 2) << calls;
    scheduler_.reset();
  }
}

}  // namespace
}  // namespace floe::inference
