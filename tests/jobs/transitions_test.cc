#include "jobs/transitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_reason.h"

namespace floe::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kLease = absl::Seconds(30);
const RetryPolicy kRetry = {.first_delay = absl::Seconds(2), .max_delay = absl::Seconds(10)};

Job Queued(int max_attempts = 3) {
  Job job;
  job.id = "trainer-1";
  job.team = "nlp";
  job.kind = "pretrain";
  job.max_attempts = max_attempts;
  return Submit(job, kNow).job;
}

Job Running(Job job = Queued()) { return Start(std::move(job), "host-1", kNow, kLease).job; }

Job Cancelling() { return Cancel(Running(), kNow)->job; }

AttemptEnd End(Outcome outcome, int attempt = 1, std::string error = {}) {
  return {.attempt = attempt, .outcome = outcome, .error = std::move(error)};
}

Event Line(int64_t sequence, std::string text) {
  return {sequence, kNow, 1, LogLine{"info", std::move(text)}};
}

std::string ReasonText(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  return reason ? reason->reason : "";
}

std::vector<State> StatesIn(const Change& change) {
  std::vector<State> states;
  for (const Event& event : change.events) {
    if (const auto* state = std::get_if<State>(&event.what)) states.push_back(*state);
  }
  return states;
}

TEST(SubmitTest, IsQueuedAndDueAtOnceWithItsFirstEvent) {
  const Change change = Submit(Job{.id = "trainer-1", .team = "nlp"}, kNow);
  EXPECT_EQ(change.job.state, State::kQueued);
  EXPECT_EQ(change.job.due_time, kNow);
  EXPECT_EQ(change.job.last_sequence, 1);
  ASSERT_THAT(change.events, SizeIs(1));
  EXPECT_EQ(change.events[0], (Event{1, kNow, 0, State::kQueued}));
}

TEST(StartTest, CountsTheAttemptAndHoldsTheLease) {
  const Change change = Start(Queued(), "host-1", kNow, kLease);
  EXPECT_EQ(change.job.state, State::kRunning);
  EXPECT_EQ(change.job.attempt, 1);
  EXPECT_EQ(change.job.runner, "host-1");
  EXPECT_EQ(change.job.lease_expire, kNow + kLease);
  EXPECT_EQ(change.job.start_time, kNow);
  EXPECT_EQ(change.job.reported_sequence, change.job.last_sequence);
}

TEST(StartTest, KeepsTheTimeOfTheFirstAttempt) {
  Job again = Finish(Running(), End(Outcome::kFailedRetryable), kNow, kRetry)->job;
  const Change change = Start(std::move(again), "host-2", kNow + absl::Hours(1), kLease);
  EXPECT_EQ(change.job.attempt, 2);
  EXPECT_EQ(change.job.start_time, kNow);
}

TEST(ReportTest, ExtendsTheLeaseAndAppendsInOrder) {
  const auto change =
      Report(Running(), {1, {Line(3, "a"), Line(4, "b")}, {}}, kNow + kLease / 2, kLease);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(change->job.lease_expire, kNow + kLease * 3 / 2);
  EXPECT_THAT(change->events, ElementsAre(Line(3, "a"), Line(4, "b")));
}

TEST(ReportTest, IgnoresEventsThatCameBefore) {
  const Job job = Report(Running(), {1, {Line(3, "a"), Line(4, "b")}, {}}, kNow, kLease)->job;
  const auto again = Report(job, {1, {Line(3, "a"), Line(4, "b"), Line(5, "c")}, {}}, kNow, kLease);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->events, ElementsAre(Line(5, "c")));
}

TEST(ReportTest, NumbersTheJobsEventsWithoutGapsAroundACancellation) {
  // The queue's own event takes number 3; the runner, which does not know of it, numbers on from 3.
  const auto change = Report(Cancelling(), {1, {Line(3, "a"), Line(4, "b")}, {}}, kNow, kLease);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(change->events, ElementsAre(Line(4, "a"), Line(5, "b")));
  EXPECT_EQ(change->job.reported_sequence, 4);
  EXPECT_EQ(change->job.last_sequence, 5);
}

TEST(ReportTest, RefusesAGap) {
  const auto change = Report(Running(), {1, {Line(4, "b")}, {}}, kNow, kLease);
  EXPECT_EQ(change.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(change.status().message(), HasSubstr("event 4"));
}

TEST(ReportTest, KeepsTheNewestProgress) {
  const Event progress = {3, kNow, 1, Progress{.step = 7, .steps = 10}};
  const auto change = Report(Running(), {1, {progress, Line(4, "b")}, {}}, kNow, kLease);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->job.progress->step, 7);
}

TEST(ReportTest, AnOlderAttemptIsAborted) {
  Job second = Running(Finish(Running(), End(Outcome::kFailedRetryable), kNow, kRetry)->job);
  ASSERT_EQ(second.attempt, 2);
  const auto change = Report(second, {1, {}, {}}, kNow, kLease);
  EXPECT_EQ(change.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonText(change.status()), kLeaseLost);
}

TEST(ReportTest, AnExpiredAttemptIsAbortedEvenBeforeTheNextBegins) {
  const Job expired = Expire(Running(), kNow + kLease, kRetry).job;
  EXPECT_EQ(ReasonText(Report(expired, {1, {}, {}}, kNow, kLease).status()), kLeaseLost);
  EXPECT_EQ(ReasonText(Finish(expired, End(Outcome::kSucceeded), kNow, kRetry).status()),
            kLeaseLost);
}

TEST(FinishTest, SuccessKeepsTheResult) {
  AttemptEnd end = End(Outcome::kSucceeded);
  end.result = "teams/nlp/models/hamlet/versions/1";
  const auto change = Finish(Running(), end, kNow, kRetry);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->job.state, State::kSucceeded);
  EXPECT_EQ(change->job.result, end.result);
  EXPECT_EQ(change->job.end_time, kNow);
  EXPECT_FALSE(change->job.lease_expire.has_value());
}

TEST(FinishTest, RepeatedItChangesNothing) {
  const Job done = Finish(Running(), End(Outcome::kSucceeded), kNow, kRetry)->job;
  const auto again = Finish(done, End(Outcome::kSucceeded), kNow, kRetry);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->events, SizeIs(0));
  const Job queued = Finish(Running(), End(Outcome::kFailedRetryable), kNow, kRetry)->job;
  ASSERT_TRUE(Finish(queued, End(Outcome::kFailedRetryable), kNow, kRetry).ok());
}

TEST(FinishTest, ARetryableFailureWaitsLongerEachTime) {
  Job job = Running(Queued(5));
  std::vector<absl::Duration> waits;
  for (int attempt = 1; attempt < 5; ++attempt) {
    job = Finish(job, End(Outcome::kFailedRetryable, attempt), kNow, kRetry)->job;
    ASSERT_EQ(job.state, State::kQueued);
    waits.push_back(job.due_time - kNow);
    job = Running(job);
  }
  EXPECT_THAT(waits,
              ElementsAre(absl::Seconds(2), absl::Seconds(4), absl::Seconds(8), absl::Seconds(10)));
}

TEST(FinishTest, TheLastAttemptFailsWithItsError) {
  Job job = Running(Queued(2));
  job = Finish(job, End(Outcome::kFailedRetryable, 1, "first"), kNow, kRetry)->job;
  job = Finish(Running(job), End(Outcome::kFailedRetryable, 2, "second"), kNow, kRetry)->job;
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_EQ(job.error, "second");
  EXPECT_EQ(job.end_time, kNow);
}

TEST(FinishTest, APermanentFailureIsNotRepeated) {
  const Job job = Finish(Running(), End(Outcome::kFailedPermanent, 1, "bad"), kNow, kRetry)->job;
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_EQ(job.error, "bad");
}

TEST(FinishTest, AHandedBackAttemptDoesNotCount) {
  Job job = Queued(1);
  for (int attempt = 1; attempt <= 5; ++attempt) {
    job = Finish(Running(job), End(Outcome::kHandedBack, attempt), kNow, kRetry)->job;
    ASSERT_EQ(job.state, State::kQueued);
    ASSERT_EQ(job.due_time, kNow) << "the next runner takes it at once";
  }
  job = Finish(Running(job), End(Outcome::kFailedRetryable, 6, "x"), kNow, kRetry)->job;
  EXPECT_EQ(job.state, State::kFailed);
}

TEST(CancelTest, AQueuedJobEndsAtOnce) {
  const auto change = Cancel(Queued(), kNow);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->job.state, State::kCancelled);
  EXPECT_EQ(change->job.end_time, kNow);
}

TEST(CancelTest, ARunningJobKeepsItsLeaseUntilItsRunnerStops) {
  const auto change = Cancel(Running(), kNow);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->job.state, State::kCancelling);
  EXPECT_TRUE(change->job.lease_expire.has_value());
}

TEST(CancelTest, RepeatedItChangesNothing) {
  EXPECT_THAT(Cancel(Cancelling(), kNow)->events, SizeIs(0));
  const Job cancelled = Cancel(Queued(), kNow)->job;
  EXPECT_THAT(Cancel(cancelled, kNow)->events, SizeIs(0));
}

TEST(CancelTest, WhatHasEndedCannotBeCancelled) {
  const Job done = Finish(Running(), End(Outcome::kSucceeded), kNow, kRetry)->job;
  const auto change = Cancel(done, kNow);
  EXPECT_EQ(change.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(change.status().message(), HasSubstr("SUCCEEDED"));
}

TEST(CancelTest, WhateverEndsACancellingAttemptCancelsTheJobButSuccess) {
  for (const Outcome outcome : {Outcome::kCancelled, Outcome::kHandedBack,
                                Outcome::kFailedRetryable, Outcome::kFailedPermanent}) {
    EXPECT_EQ(Finish(Cancelling(), End(outcome), kNow, kRetry)->job.state, State::kCancelled);
  }
  EXPECT_EQ(Finish(Cancelling(), End(Outcome::kSucceeded), kNow, kRetry)->job.state,
            State::kSucceeded);
  EXPECT_EQ(Expire(Cancelling(), kNow + kLease, kRetry).job.state, State::kCancelled);
}

TEST(PauseTest, AQueuedJobWaitsAtOnceAndIsDueAtOnceWhenItGoesOn) {
  const Job paused = Pause(Queued(), kNow)->job;
  EXPECT_EQ(paused.state, State::kPaused);
  EXPECT_FALSE(paused.end_time.has_value());
  const Job again = Resume(paused, kNow + absl::Hours(1))->job;
  EXPECT_EQ(again.state, State::kQueued);
  EXPECT_EQ(again.due_time, kNow + absl::Hours(1));
}

TEST(PauseTest, ARunningJobKeepsItsLeaseUntilItsRunnerHandsBackAndThatCountsAsNoAttempt) {
  const Job pausing = Pause(Running(), kNow)->job;
  EXPECT_EQ(pausing.state, State::kPausing);
  EXPECT_TRUE(pausing.lease_expire.has_value());
  ASSERT_TRUE(
      Report(pausing, {1, {Line(pausing.reported_sequence + 1, "state saved")}, {}}, kNow, kLease)
          .ok());
  const Change change =
      *Finish(pausing, End(Outcome::kHandedBack, 1, "paused on request"), kNow, kRetry);
  EXPECT_EQ(change.job.state, State::kPaused);
  EXPECT_FALSE(change.job.lease_expire.has_value());
  EXPECT_EQ(change.job.handed_back, 1);
  ASSERT_TRUE(change.attempt.has_value());
  EXPECT_EQ(change.attempt->outcome, Outcome::kHandedBack);
  EXPECT_EQ(change.attempt->reason, "paused on request");
}

TEST(PauseTest, AFailureWhilePausingWaitsForAPersonUnlessItIsFinal) {
  const Job pausing = Pause(Running(), kNow)->job;
  EXPECT_EQ(Finish(pausing, End(Outcome::kFailedRetryable), kNow, kRetry)->job.state,
            State::kPaused);
  EXPECT_EQ(Expire(pausing, kNow + kLease, kRetry).job.state, State::kPaused);
  EXPECT_EQ(Finish(pausing, End(Outcome::kFailedPermanent), kNow, kRetry)->job.state,
            State::kFailed);
  const Job last = Pause(Running(Queued(1)), kNow)->job;
  EXPECT_EQ(Finish(last, End(Outcome::kFailedRetryable), kNow, kRetry)->job.state, State::kFailed);
  EXPECT_EQ(Finish(pausing, End(Outcome::kSucceeded), kNow, kRetry)->job.state, State::kSucceeded)
      << "it was done before it heard of the pause";
}

TEST(PauseTest, TakenBackBeforeTheRunnerStoppedTheJobRunsOrIsQueuedAgain) {
  const Job running = Resume(Pause(Running(), kNow)->job, kNow)->job;
  EXPECT_EQ(running.state, State::kRunning);
  EXPECT_EQ(Finish(running, End(Outcome::kHandedBack), kNow, kRetry)->job.state, State::kQueued);
}

TEST(PauseTest, RepeatedItChangesNothing) {
  for (const Job& job : {Pause(Running(), kNow)->job, Pause(Queued(), kNow)->job}) {
    EXPECT_THAT(Pause(job, kNow)->events, SizeIs(0));
  }
  EXPECT_THAT(Resume(Running(), kNow)->events, SizeIs(0));
  EXPECT_THAT(Resume(Queued(), kNow)->events, SizeIs(0));
}

TEST(PauseTest, APausedOrPausingJobCanBeCancelledAndACancelledOneNotPaused) {
  EXPECT_EQ(Cancel(Pause(Queued(), kNow)->job, kNow)->job.state, State::kCancelled);
  EXPECT_EQ(Cancel(Pause(Running(), kNow)->job, kNow)->job.state, State::kCancelling);
  EXPECT_EQ(ReasonText(Pause(Cancelling(), kNow).status()), "JOB_IS_CANCELLING");
  EXPECT_EQ(ReasonText(Resume(Cancelling(), kNow).status()), "JOB_IS_CANCELLING");
  const Job done = Finish(Running(), End(Outcome::kSucceeded), kNow, kRetry)->job;
  EXPECT_EQ(ReasonText(Pause(done, kNow).status()), "JOB_HAS_ENDED");
  EXPECT_EQ(ReasonText(Resume(done, kNow).status()), "JOB_HAS_ENDED");
}

TEST(ExpireTest, LeavesALeaseThatHolds) {
  const Change change = Expire(Running(), kNow + kLease - absl::Nanoseconds(1), kRetry);
  EXPECT_EQ(change.job.state, State::kRunning);
  EXPECT_THAT(change.events, SizeIs(0));
  EXPECT_THAT(Expire(Queued(), absl::InfiniteFuture(), kRetry).events, SizeIs(0));
}

TEST(ExpireTest, QueuesAgainAndNamesTheSilentRunner) {
  const Change change = Expire(Running(), kNow + kLease, kRetry);
  EXPECT_THAT(StatesIn(change), ElementsAre(State::kQueued));
  EXPECT_EQ(change.job.runner, "");
  EXPECT_EQ(change.job.due_time, kNow + kLease + absl::Seconds(2));
  EXPECT_THAT(std::get<LogLine>(change.events[0].what).text, HasSubstr("host-1"));
}

TEST(ExpireTest, AJobThatKillsItsRunnersFailsInTheEnd) {
  Job job = Queued(3);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_EQ(job.state, State::kQueued);
    job = Expire(Running(job), kNow + kLease, kRetry).job;
  }
  EXPECT_EQ(job.state, State::kFailed);
  EXPECT_THAT(job.error, HasSubstr("host-1"));
}

TEST(StateTest, NamesGoBothWays) {
  for (const State state : {State::kQueued, State::kRunning, State::kSucceeded, State::kFailed,
                            State::kCancelled, State::kCancelling}) {
    EXPECT_EQ(StateFromName(StateName(state)), state);
  }
  EXPECT_EQ(StateFromName("queued"), std::nullopt);
}

}  // namespace
}  // namespace floe::jobs
