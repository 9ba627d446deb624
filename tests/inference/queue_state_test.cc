// Who may wait, for how long, and who has to go: first as pure rules, then in the real scheduler on
// a virtual clock, with steps of 8 ms and 0.25 ms a token.
#include "inference/scheduler/queue_state.h"

#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "inference/scheduler/scheduler.h"
#include "tests/inference/modelled_engine.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

constexpr auto kFlex = ServiceTier::kFlex;
constexpr auto kDefault = ServiceTier::kDefault;
constexpr auto kPriority = ServiceTier::kPriority;

QueueState Queue(int64_t flex, int64_t normal, int64_t priority) {
  QueueState queue;
  const int64_t requests[] = {flex, normal, priority};
  for (size_t i = 0; i < kNumTiers; ++i) {
    queue.tiers[i] = {requests[i], 100 * requests[i], 20 * requests[i]};
  }
  // 10 ms and 0.1 ms a token.
  for (int i = 1; i <= 200; ++i) {
    queue.cost.Observe(i, absl::Milliseconds(10) + i * absl::Microseconds(100));
  }
  return queue;
}

int RetryAfter(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  return reason ? std::stoi(reason->metadata.at("retry_after_seconds")) : 0;
}

TEST(TierToShed, IsTheLowestThatHasMoreThanItsShareOfTheQueue) {
  const QueueLimits limits{.requests = 100};
  EXPECT_EQ(TierToShed(Queue(40, 30, 30).tiers, limits, {}), std::nullopt);
  EXPECT_EQ(TierToShed(Queue(41, 30, 30).tiers, limits, {}), kFlex);
  EXPECT_EQ(TierToShed(Queue(10, 60, 31).tiers, limits, {}), kDefault);
  EXPECT_EQ(TierToShed(Queue(10, 30, 61).tiers, limits, {}), kPriority);
}

TEST(TierToShed, CountsPromptTokensToo) {
  EXPECT_EQ(TierToShed(Queue(2, 2, 2).tiers, {.prompt_tokens = 599}, {}), kFlex);
}

TEST(EstimateWait, CountsWhatGoesBeforeInStepsThatAreAsFullAsTheyCanBe) {
  // 100 requests: 10,000 prompt tokens and 2,000 of answers, 16 a step.
  const double seconds = 12'000 * 0.0001 + 2'000 / 16 * 0.01;
  EXPECT_NEAR(absl::ToDoubleSeconds(EstimateWait(Queue(0, 0, 100), kPriority, {})), seconds, 0.01);
  EXPECT_NEAR(absl::ToDoubleSeconds(EstimateWait(Queue(50, 50, 50), kDefault, {})), seconds, 0.01);
  // Alone at the pace of its share, a tenth, which is sooner than after the 900 others.
  EXPECT_NEAR(absl::ToDoubleSeconds(EstimateWait(Queue(50, 0, 900), kFlex, {})), 5 * seconds, 0.1);
}

TEST(MayWait, ADeadlineThatCannotBeMetIsRefusedWithTheTimeThatIsMissing) {
  const QueueState queue = Queue(0, 200, 0);  // 4.9 s
  const QueuedWork more = {1, 128, 20};
  EXPECT_TRUE(MayWait(queue, kDefault, more, absl::Seconds(5), {}, {}).ok());
  EXPECT_TRUE(MayWait(queue, kPriority, more, absl::Seconds(1), {}, {}).ok());
  const absl::Status late = MayWait(queue, kDefault, more, absl::Seconds(1), {}, {});
  EXPECT_EQ(late.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(late)->reason, "DEADLINE_TOO_SOON");
  EXPECT_EQ(RetryAfter(late), 4);
}

TEST(MayWait, AFullQueueSaysWhenToComeAgain) {
  const absl::Status full =
      MayWait(Queue(0, 200, 0), kDefault, {1, 10, 1}, absl::InfiniteDuration(), {200}, {});
  EXPECT_EQ(ReasonOf(full)->reason, "QUEUE_FULL");
  EXPECT_EQ(RetryAfter(full), 5);
  QueueState unknown = Queue(0, 200, 0);
  unknown.cost = {};
  EXPECT_EQ(RetryAfter(MayWait(unknown, kDefault, {1, 10, 1}, absl::InfiniteDuration(), {200}, {})),
            1);
}

class QueueInScheduler : public testing::Test {
 protected:
  void Start(SchedulerOptions options) {
    options.own_thread = false;
    scheduler_ = std::make_unique<Scheduler>(
        std::make_unique<ModelledEngine>(clock_, ModelledCost{}, 4096), clock_, options);
  }
  // The index of its finish in finishes_.
  size_t Submit(ServiceTier tier, int64_t prompt, int64_t answer,
                absl::Duration time_left = absl::InfiniteDuration()) {
    Request request;
    request.prompt.assign(static_cast<size_t>(prompt), 0);
    request.max_tokens = answer;
    request.tier = tier;
    request.time_left = time_left;
    const size_t index = finishes_.size();
    finishes_.emplace_back();
    const auto id = scheduler_->Submit(std::move(request), [this, index](const Event& event) {
      if (event.finish) finishes_[index] = event.finish->status;
    });
    if (!id.ok()) finishes_[index] = id.status();
    return index;
  }
  void RunAll() {
    while (scheduler_->RunOnce()) {
    }
  }

  test::FakeClock clock_;
  std::vector<std::optional<absl::Status>> finishes_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(QueueInScheduler, NothingHappensBetweenTheStepsOfItsOwner) {
  Start({});
  const size_t only = Submit(kDefault, 10, 2);
  EXPECT_FALSE(finishes_[only].has_value());
  EXPECT_TRUE(scheduler_->RunOnce());
  EXPECT_FALSE(scheduler_->RunOnce());
  EXPECT_TRUE(finishes_[only]->ok());
}

TEST_F(QueueInScheduler, ThePlaceOfTheYoungestFlexRequestGoesToPriority) {
  Start({.plan = {.max_running = 1}, .queue = {.requests = 3}});
  const size_t running = Submit(kPriority, 10, 50);
  scheduler_->RunOnce();
  const size_t old = Submit(kFlex, 10, 1);
  Submit(kFlex, 10, 1);
  const size_t young = Submit(kFlex, 10, 1);
  const size_t refused = Submit(kFlex, 10, 1);
  EXPECT_EQ(ReasonOf(*finishes_[refused])->reason, "QUEUE_FULL");
  const size_t priority = Submit(kPriority, 10, 1);
  scheduler_->RunOnce();
  ASSERT_TRUE(finishes_[young].has_value());
  EXPECT_EQ(finishes_[young]->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GE(RetryAfter(*finishes_[young]), 1);
  EXPECT_EQ(scheduler_->stats().rejected, 2);
  RunAll();
  for (const size_t index : {running, old, priority}) EXPECT_TRUE(finishes_[index]->ok());
}

TEST_F(QueueInScheduler, WhatWasBegunIsNotTurnedAway) {
  Start({.plan = {.max_running = 1}, .queue = {.requests = 1}});
  const size_t begun = Submit(kFlex, 10, 50);
  scheduler_->RunOnce();
  Submit(kPriority, 10, 50);  // takes the slot
  scheduler_->RunOnce();
  EXPECT_EQ(scheduler_->stats().waiting_by_tier[0], 1);
  Submit(kPriority, 10, 1);
  RunAll();
  EXPECT_TRUE(finishes_[begun]->ok());
}

TEST_F(QueueInScheduler, WhatCannotBeInTimeAnyMoreIsRefusedBeforeItIsBegun) {
  Start({.plan = {.max_running = 1}});
  Submit(kDefault, 10, 100);
  scheduler_->RunOnce();  // now a step's cost is known
  const size_t late = Submit(kDefault, 10, 10, absl::Milliseconds(200));
  const size_t patient = Submit(kDefault, 10, 10, absl::Seconds(100));
  RunAll();
  EXPECT_EQ(ReasonOf(*finishes_[late])->reason, "DEADLINE_TOO_SOON");
  EXPECT_THAT(finishes_[late]->message(), HasSubstr("too near"));
  EXPECT_TRUE(finishes_[patient]->ok());
}

TEST_F(QueueInScheduler, TheNearerDeadlineGoesFirst) {
  Start({.plan = {.max_running = 1}});
  const size_t patient = Submit(kDefault, 10, 10);
  const size_t hurried = Submit(kDefault, 10, 10, absl::Seconds(1));
  while (!finishes_[hurried]) {
    EXPECT_FALSE(finishes_[patient].has_value());
    ASSERT_TRUE(scheduler_->RunOnce());
  }
  RunAll();
  EXPECT_TRUE(finishes_[patient]->ok());
}

}  // namespace
}  // namespace floe::inference
