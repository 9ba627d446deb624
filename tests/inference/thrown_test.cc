// Exceptions while a step is made: memory that is not to be had.
#include <new>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/scheduler/scheduler.h"
#include "tests/inference/answer.h"
#include "tests/inference/fake_engine.h"

namespace floe::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ThrownTest : public testing::Test {
 protected:
  void Start(SchedulerOptions options = {}) {
    scheduler_ =
        std::make_unique<Scheduler>(std::make_unique<FakeEngine>(gate_, 16), clock_, options);
  }
  void TearDown() override { gate_.AllowAll(); }
  void Submit(Request request, EventSink sink) {
    const auto id = scheduler_->Submit(std::move(request), std::move(sink));
    ASSERT_TRUE(id.ok()) << id.status();
  }
  void ExpectAnswersWith(int64_t free_blocks) {
    Answer answer;
    gate_.AllowAll();
    Submit(Ask({5, 6}, 2), answer.sink());
    EXPECT_TRUE(answer.Wait().status.ok());
    EXPECT_THAT(answer.ids(), ElementsAre(7, 8));
    ASSERT_TRUE(scheduler_->WaitIdle(absl::Seconds(10)));
    EXPECT_EQ(scheduler_->stats().kv.free_blocks, free_blocks);
  }

  SystemClock clock_;
  StepGate gate_;
  Answer a_, b_;
  std::unique_ptr<Scheduler> scheduler_;  // ends before the answers
};

TEST_F(ThrownTest, WhatAStepThrowsEndsItsRequestsAndNoOthers) {
  SchedulerOptions options;
  options.plan.max_running = 1;
  Start(options);
  Submit(Ask({5, 6, 7}, 4), a_.sink());
  gate_.WaitForStep(1);
  Submit(Ask({1}, 3), b_.sink());  // waits
  gate_.Allow(1);
  gate_.WaitForStep(2);
  gate_.ThrowOnce();
  gate_.AllowAll();
  const Finish finish = a_.Wait();
  EXPECT_EQ(finish.reason, FinishReason::kError);
  EXPECT_EQ(finish.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(finish.status.message()), HasSubstr("memory"));
  EXPECT_THAT(a_.ids(), ElementsAre(8));
  EXPECT_TRUE(b_.Wait().status.ok());
  EXPECT_THAT(b_.ids(), ElementsAre(2, 3, 4));
  ExpectAnswersWith(16);
}

// The last event of all, told again.
TEST_F(ThrownTest, ARequestWhoseEventFindsNoMemoryStillEnds) {
  Start();
  int thrown = 0;
  Submit(Ask({5}, 1), [&, sink = a_.sink()](Event event) {
    if (thrown++ == 0) throw std::bad_alloc();
    sink(std::move(event));
  });
  gate_.AllowAll();
  EXPECT_EQ(a_.Wait().status.code(), absl::StatusCode::kResourceExhausted);
  ExpectAnswersWith(16);
}

}  // namespace
}  // namespace floe::inference
