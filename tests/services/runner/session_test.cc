// One lease, with a queue that answers as the test says.
#include "services/runner/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::runner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr absl::Duration kTooLong = absl::Seconds(30);

// Answers calls with the statuses that the test has lined up, and otherwise stores events.
class FakeQueue final : public jobs::LeaseClient {
 public:
  void AnswerWith(std::vector<absl::Status> statuses) {
    std::lock_guard lock(mutex_);
    answers_.assign(statuses.begin(), statuses.end());
  }
  void RequestCancel() {
    std::lock_guard lock(mutex_);
    cancel_ = true;
  }
  jobs::Usage used() {
    std::lock_guard lock(mutex_);
    return used_;
  }
  std::vector<std::string> stored() {
    std::lock_guard lock(mutex_);
    return stored_;
  }
  int finished() {
    std::lock_guard lock(mutex_);
    return finished_;
  }
  // Until all lined-up answers were given.
  bool WaitUntilAnswered() {
    std::unique_lock lock(mutex_);
    return called_.wait_for(lock, absl::ToChronoNanoseconds(kTooLong),
                            [&] { return answers_.empty(); });
  }
  bool WaitUntilStored(size_t count) {
    std::unique_lock lock(mutex_);
    return called_.wait_for(lock, absl::ToChronoNanoseconds(kTooLong),
                            [&] { return stored_.size() >= count; });
  }

  absl::StatusOr<std::optional<jobs::Lease>> Acquire(const jobs::Runner&, absl::Duration,
                                                     std::stop_token) override {
    return absl::UnimplementedError("a session has its lease");
  }
  absl::StatusOr<jobs::HeartbeatAnswer> Heartbeat(const jobs::Lease& lease,
                                                  const std::vector<jobs::Event>& events,
                                                  const jobs::Usage& used) override {
    std::lock_guard lock(mutex_);
    called_.notify_all();
    if (absl::Status status = Take(); !status.ok()) return status;
    used_ = used;
    Store(events);
    return jobs::HeartbeatAnswer{cancel_, last_, false};
  }
  absl::StatusOr<jobs::State> Finish(const jobs::Lease& lease,
                                     const jobs::AttemptEnd& end) override {
    std::lock_guard lock(mutex_);
    called_.notify_all();
    if (absl::Status status = Take(); !status.ok()) return status;
    Store(end.events);
    used_ = end.used;
    ++finished_;
    return jobs::State::kSucceeded;
  }

 private:
  absl::Status Take() {
    if (answers_.empty()) return absl::OkStatus();
    absl::Status status = answers_.front();
    answers_.pop_front();
    return status;
  }
  void Store(const std::vector<jobs::Event>& events) {
    for (const jobs::Event& event : events) {
      if (event.sequence <= last_) continue;
      last_ = event.sequence;
      stored_.push_back(
          absl::StrCat(event.sequence, ":", std::get<jobs::LogLine>(event.what).text));
    }
  }

  std::mutex mutex_;
  std::condition_variable called_;
  std::deque<absl::Status> answers_;  // guarded by mutex_
  std::vector<std::string> stored_;   // guarded by mutex_
  int64_t last_ = 2;                  // guarded by mutex_
  int finished_ = 0;                  // guarded by mutex_
  bool cancel_ = false;               // guarded by mutex_
  jobs::Usage used_;                  // guarded by mutex_: as it was last told
};

absl::Status Away() { return absl::UnavailableError("connection refused"); }
absl::Status Lost() {
  return WithReason(absl::AbortedError("attempt 2 has begun"), jobs::kLeaseLost);
}

class SessionTest : public testing::Test {
 protected:
  // Waits until the executor would hear of it.
  bool WaitForStop() {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, session_.stop_token(), absl::ToChronoNanoseconds(kTooLong),
                  [] { return false; });
    return session_.stop_token().stop_requested();
  }
  absl::StatusOr<jobs::State> Finish() { return session_.Finish({}, give_up_.get_token()); }

  SystemClock clock_;
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  FakeQueue queue_;
  jobs::Lease lease_ = {.job = "teams/nlp/jobs/test-1",
                        .attempt = 1,
                        .heartbeat_interval = absl::Milliseconds(20),
                        .last_sequence = 2};
  std::stop_source give_up_;
  Session session_{queue_,
                   lease_,
                   clock_,
                   logger_,
                   {.report_interval = absl::Milliseconds(1),
                    .max_retry_delay = absl::Milliseconds(5),
                    .batch = 10}};
};

TEST_F(SessionTest, TellsWhatTheAttemptUsed) {
  session_.reporter().Used(100, 2.5e9);
  session_.reporter().Used(50, 0.6e9);
  ASSERT_TRUE(Finish().ok());
  EXPECT_EQ(queue_.used().tokens, 150);
  EXPECT_EQ(queue_.used().gigaflop, 3);
  EXPECT_GT(queue_.used().core_time, absl::ZeroDuration());
}

TEST_F(SessionTest, EventsArriveWhileTheWorkGoesOn) {
  session_.reporter().Info("a");
  EXPECT_TRUE(queue_.WaitUntilStored(1));
  session_.reporter().Info("b");
  EXPECT_TRUE(queue_.WaitUntilStored(2));
  EXPECT_EQ(*Finish(), jobs::State::kSucceeded);
  EXPECT_THAT(queue_.stored(), ElementsAre("3:a", "4:b"));
}

TEST_F(SessionTest, AQueueThatIsAwayStopsNothingAndLosesNothing) {
  queue_.AnswerWith({Away(), absl::DeadlineExceededError("slow"), absl::UnknownError("in doubt"),
                     WithReason(absl::AbortedError("conflict"), "POSTGRES_CONFLICT"), Away()});
  std::vector<std::string> expected;
  for (int i = 0; i < 35; ++i) {
    session_.reporter().Info(absl::StrCat("line ", i));
    expected.push_back(absl::StrCat(i + 3, ":line ", i));
  }
  EXPECT_TRUE(queue_.WaitUntilAnswered());
  EXPECT_FALSE(session_.stop_token().stop_requested());
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(queue_.stored(), expected);
}

TEST_F(SessionTest, TheEndWaitsForTheQueue) {
  session_.reporter().Info("a");
  ASSERT_TRUE(queue_.WaitUntilStored(1));
  queue_.AnswerWith({Away(), Away(), Away(), Away(), Away(), Away()});
  session_.reporter().Info("b");
  EXPECT_TRUE(Finish().ok());
  EXPECT_THAT(queue_.stored(), ElementsAre("3:a", "4:b"));
}

TEST_F(SessionTest, TheEndGivesUpWhenTold) {
  queue_.AnswerWith(std::vector<absl::Status>(1000, Away()));
  give_up_.request_stop();
  EXPECT_EQ(Finish().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(SessionTest, ACancellationIsHeard) {
  queue_.RequestCancel();
  EXPECT_TRUE(WaitForStop());
  EXPECT_EQ(session_.stop_reason(), StopReason::kCancelled);
  session_.RequestStop(StopReason::kHandBack);
  EXPECT_EQ(session_.stop_reason(), StopReason::kCancelled) << "the first reason stands";
}

TEST_F(SessionTest, ALostLeaseStopsTheWork) {
  session_.RequestStop(StopReason::kHandBack);
  queue_.AnswerWith({Lost()});
  EXPECT_TRUE(queue_.WaitUntilAnswered());
  EXPECT_EQ(Finish().status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(queue_.finished(), 0);
}

TEST_F(SessionTest, EventsThatAreRefusedDoNotHoldUpTheOthers) {
  ASSERT_TRUE(queue_.WaitUntilAnswered());
  queue_.AnswerWith({absl::InvalidArgumentError("event 3 is no event")});
  session_.reporter().Info("a");
  ASSERT_TRUE(queue_.WaitUntilAnswered());
  session_.reporter().Info("b");
  EXPECT_TRUE(Finish().ok());
  EXPECT_THAT(queue_.stored(), testing::Contains(HasSubstr("b")));
}

}  // namespace
}  // namespace floe::runner
