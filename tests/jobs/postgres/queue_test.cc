// The queue on a real Postgres.
//
// Over 400 lines: all that the queue promises read in one place.
#include "jobs/postgres/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "jobs/leasing.h"
#include "jobs/submission.h"
#include "tests/jobs/postgres/queue_fixture.h"

namespace floe::jobs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(QueueTest, MigratingAgainChangesNothing) {
  Submit();
  ASSERT_TRUE(MigrateQueue(*pool_, "trainer").ok());
  EXPECT_TRUE(Acquire().has_value());
}

TEST_F(QueueTest, SchemasAreQueuesApart) {
  ASSERT_TRUE(MigrateQueue(*pool_, "tokenizer").ok());
  const auto other = MakePostgresQueue(*pool_, "tokenizer");
  const Job job = Submit();
  EXPECT_EQ(other->Get("nlp", job.id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(queue_->Get("nlp", job.id).ok());
}

TEST_F(QueueTest, AJobComesBackAsItWasStored) {
  const Job submitted = Submit("pretrain", "nlp", "r-1");
  Job acquired = *Acquire("host-7");
  ASSERT_EQ(acquired.id, submitted.id);
  const Event progress = {acquired.last_sequence + 1, clock_.Now(), 1,
                          Progress{.step = 3, .steps = 9, .metrics = {{"loss", 1.5}}}};
  const auto reported = leasing_->Heartbeat("nlp", acquired.id, 1, {progress});
  ASSERT_TRUE(reported.ok()) << reported.status();
  const auto stored = queue_->Get("nlp", acquired.id);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->kind, "pretrain");
  EXPECT_EQ(stored->spec, "{\"a\":1}");
  EXPECT_EQ(stored->state, State::kRunning);
  EXPECT_EQ(stored->creator, "key-1");
  EXPECT_EQ(stored->request_id, "r-1");
  EXPECT_EQ(stored->runner, "host-7");
  EXPECT_EQ(stored->create_time, clock_.Now());
  EXPECT_EQ(stored->start_time, clock_.Now());
  EXPECT_EQ(stored->lease_expire, clock_.Now() + kLease);
  EXPECT_EQ(stored->progress, reported->progress);
  EXPECT_FALSE(stored->end_time.has_value());
  EXPECT_EQ(queue_->Events(acquired.id, 2, 10)->at(0).what, progress.what);
}

TEST_F(QueueTest, ARequestIdMakesOneJobATeam) {
  const Job first = Submit("pretrain", "nlp", "r-1");
  EXPECT_EQ(Submit("pretrain", "nlp", "r-1").id, first.id);
  EXPECT_NE(Submit("pretrain", "vision", "r-1").id, first.id);
  EXPECT_NE(Submit("pretrain", "nlp", "").id, Submit("pretrain", "nlp", "").id);
  EXPECT_EQ((*queue_->FindRequest("nlp", "r-1"))->id, first.id);
  EXPECT_FALSE(queue_->FindRequest("nlp", "")->has_value());
}

TEST_F(QueueTest, AnotherTeamsJobIsNotFound) {
  const Job job = Submit();
  const auto found = queue_->Get("vision", job.id);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(found.status())->reason, "JOB_NOT_FOUND");
  EXPECT_EQ(submission_->Cancel("vision", job.id).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(QueueTest, ListsNewestFirstPageByPage) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), Submit().id);
  Submit("pretrain", "vision");
  std::vector<std::string> listed;
  JobPage page;
  do {
    page = *queue_->List("nlp", listed.empty() ? "" : listed.back(), 2);
    for (const Job& job : page.jobs) listed.push_back(job.id);
  } while (page.more);
  EXPECT_EQ(listed, ids);
}

TEST_F(QueueTest, GivesTheJobThatHasBeenDueLongestOfTheKindsAskedFor) {
  Submit("alignment");
  const Job first = Submit();
  clock_.Advance(absl::Seconds(1));
  const Job second = Submit("other");
  EXPECT_EQ(Acquire()->id, first.id);
  EXPECT_EQ(Acquire()->id, second.id);
  EXPECT_FALSE(Acquire().has_value());
}

TEST_F(QueueTest, AFailedJobComesBackAfterItsBackOff) {
  Submit();
  const Job first = *Acquire();
  ASSERT_TRUE(End(first, Outcome::kFailedRetryable).ok());
  EXPECT_FALSE(Acquire().has_value());
  clock_.Advance(absl::Seconds(2));
  const auto second = Acquire();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->attempt, 2);
}

TEST_F(QueueTest, AnOldAttemptIsFencedOff) {
  Submit();
  const Job first = *Acquire("host-1");
  clock_.Advance(kLease);
  ASSERT_THAT(*queue_->UpdateExpired(
                  clock_.Now(), [&](Job job) { return Expire(std::move(job), clock_.Now(), {}); }),
              SizeIs(1));
  clock_.Advance(absl::Seconds(2));
  const Job second = *Acquire("host-2");
  ASSERT_EQ(second.attempt, 2);

  const auto heartbeat =
      leasing_->Heartbeat("nlp", first.id, 1, {Line(first.last_sequence + 1, "late")});
  EXPECT_EQ(heartbeat.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(heartbeat.status())->reason, kLeaseLost);
  EXPECT_EQ(End(first, Outcome::kSucceeded).status().code(), absl::StatusCode::kAborted);
  const Job stored = *queue_->Get("nlp", first.id);
  EXPECT_EQ(stored.state, State::kRunning);
  EXPECT_EQ(stored.runner, "host-2");
  for (const Event& event : Events(first.id)) {
    EXPECT_NE(event.what, (std::variant<Progress, LogLine, State>(LogLine{"info", "late"})));
  }
  EXPECT_TRUE(leasing_->Heartbeat("nlp", first.id, 2, {}).ok());
  EXPECT_TRUE(End(second, Outcome::kSucceeded).ok());
}

TEST_F(QueueTest, ARefusedTransitionChangesNothing) {
  Submit();
  const Job job = *Acquire();
  const auto gap = leasing_->Heartbeat("nlp", job.id, 1, {Line(3, "a"), Line(5, "c")});
  EXPECT_EQ(gap.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Sequences(job.id), ElementsAre(1, 2));
}

TEST_F(QueueTest, RepeatedEventsAreStoredOnce) {
  Submit();
  const Job job = *Acquire();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {Line(3, "a"), Line(4, "b")}).ok());
  }
  ASSERT_TRUE(submission_->Cancel("nlp", job.id).ok());
  ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {Line(4, "b"), Line(5, "c")}).ok());
  ASSERT_TRUE(End(job, Outcome::kCancelled).ok());
  // 1 QUEUED, 2 RUNNING, 3 a, 4 b, 5 CANCELLING, 6 c, 7 CANCELLED
  EXPECT_THAT(Sequences(job.id), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(std::get<LogLine>(queue_->Events(job.id, 5, 1)->at(0).what).text, "c");
}

// Runners that take, report, fail, hand back and finish all at once: no job is ever held twice, and
// every job's events are numbered without a gap.
TEST_F(QueueTest, ManyRunnersNeverHoldOneJob) {
  constexpr int kJobs = 30;
  constexpr int kRunners = 8;
  std::vector<std::string> ids;
  for (int i = 0; i < kJobs; ++i) ids.push_back(Submit().id);
  std::mutex mutex;
  std::set<std::string> held;            // guarded by mutex
  std::map<std::string, int> succeeded;  // guarded by mutex
  const auto work = [&](int number) {
    std::minstd_rand random(number);
    const std::string runner = absl::StrCat("host-", number);
    int idle = 0;
    while (idle < 3) {
      const auto job = leasing_->Acquire({"pretrain"}, runner);
      ASSERT_TRUE(job.ok()) << job.status();
      if (!job->has_value()) {
        clock_.Advance(absl::Seconds(1));  // back-offs pass; leases are far longer than this
        ++idle;
        continue;
      }
      idle = 0;
      {
        std::lock_guard lock(mutex);
        ASSERT_TRUE(held.insert((*job)->id).second) << (*job)->id << " is held twice";
      }
      int64_t sequence = (*job)->reported_sequence;
      for (int i = static_cast<int>(random() % 4); i > 0; --i) {
        const auto told =
            leasing_->Heartbeat("nlp", (*job)->id, (*job)->attempt, {Line(++sequence, runner)});
        ASSERT_TRUE(told.ok()) << told.status();
      }
      const Outcome outcome = random() % 3 == 0 ? Outcome::kHandedBack : Outcome::kSucceeded;
      {
        std::lock_guard lock(mutex);
        held.erase((*job)->id);
        if (outcome == Outcome::kSucceeded) ++succeeded[(*job)->id];
      }
      const auto ended = End(**job, outcome);
      ASSERT_TRUE(ended.ok()) << ended.status();
    }
  };
  std::vector<std::thread> runners;
  for (int i = 0; i < kRunners; ++i) runners.emplace_back(work, i + 1);
  for (std::thread& runner : runners) runner.join();
  for (const std::string& id : ids) {
    EXPECT_EQ(succeeded[id], 1) << id;
    const std::vector<int64_t> sequences = Sequences(id);
    for (size_t i = 0; i < sequences.size(); ++i) {
      ASSERT_EQ(sequences[i], static_cast<int64_t>(i) + 1) << id;
    }
    EXPECT_EQ(static_cast<int64_t>(sequences.size()), queue_->Get("nlp", id)->last_sequence);
  }
}

TEST_F(QueueTest, OneRequestIdFromManyThreadsMakesOneJob) {
  std::mutex mutex;
  std::set<std::string> ids;  // guarded by mutex
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const std::string id = Submit("pretrain", "nlp", "same").id;
      std::lock_guard lock(mutex);
      ids.insert(id);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(ids, SizeIs(1));
  EXPECT_THAT(queue_->List("nlp", "", 10)->jobs, SizeIs(1));
}

TEST_F(QueueTest, TellsEachQueuedJobsPlaceInTheOrderInWhichJobsAreTaken) {
  const Job first = Submit(), second = Submit("other", "vision"), third = Submit();
  EXPECT_EQ(first.queue_position, 1);
  EXPECT_EQ(third.queue_position, 3);
  ASSERT_EQ(Acquire()->id, first.id);
  EXPECT_EQ(queue_->Get("nlp", first.id)->queue_position, 0);
  EXPECT_EQ(queue_->Get("vision", second.id)->queue_position, 1);
  EXPECT_EQ(queue_->List("nlp", "", 10)->jobs[0].queue_position, 2);
  clock_.Advance(absl::Seconds(1));
  ASSERT_EQ(submission_->Pause("vision", second.id)->queue_position, 0);
  EXPECT_EQ(queue_->Get("nlp", third.id)->queue_position, 1);
  ASSERT_TRUE(submission_->Resume("vision", second.id).ok());
  EXPECT_EQ(queue_->Get("vision", second.id)->queue_position, 2) << "it queues behind again";
}

TEST_F(QueueTest, APausedJobIsTakenByNobodyUntilItGoesOn) {
  const Job job = Submit();
  ASSERT_EQ(submission_->Pause("nlp", job.id)->state, State::kPaused);
  EXPECT_FALSE(Acquire().has_value());
  EXPECT_THAT(*queue_->CountOpen(), ElementsAre(testing::Pair(State::kPaused, 1)));
  ASSERT_TRUE(submission_->Resume("nlp", job.id).ok());
  const Job running = *Acquire();
  ASSERT_EQ(submission_->Pause("nlp", job.id)->state, State::kPausing);
  clock_.Advance(kLease);
  ASSERT_THAT(*queue_->UpdateExpired(
                  clock_.Now(), [&](Job one) { return Expire(std::move(one), clock_.Now(), {}); }),
              SizeIs(1));
  EXPECT_EQ(queue_->Get("nlp", running.id)->state, State::kPaused);
  EXPECT_EQ(submission_->Cancel("nlp", job.id)->state, State::kCancelled);
}

TEST_F(QueueTest, RemembersEachAttemptWithItsRunnerAndWhyItEnded) {
  const Job job = Submit();
  Acquire("host-1");
  clock_.Advance(absl::Seconds(3));
  ASSERT_TRUE(leasing_
                  ->Finish("nlp", job.id,
                           {.attempt = 1,
                            .outcome = Outcome::kFailedRetryable,
                            .error = "UNAVAILABLE: rank 2 was killed by signal 9"})
                  .ok());
  clock_.Advance(absl::Seconds(2));
  const absl::Time second = clock_.Now();
  Acquire("host-2");
  clock_.Advance(kLease);
  ASSERT_TRUE(queue_
                  ->UpdateExpired(clock_.Now(),
                                  [&](Job one) { return Expire(std::move(one), clock_.Now(), {}); })
                  .ok());
  clock_.Advance(absl::Minutes(10));  // longer than any back-off
  Acquire("host-3");
  const std::vector<Attempt> attempts = *queue_->Attempts(job.id);
  ASSERT_THAT(attempts, SizeIs(3));
  EXPECT_EQ(attempts[0],
            (Attempt{1, "host-1", second - absl::Seconds(5), second - absl::Seconds(2),
                     Outcome::kFailedRetryable, "UNAVAILABLE: rank 2 was killed by signal 9"}));
  EXPECT_EQ(attempts[1], (Attempt{2, "host-2", second, second + kLease, Outcome::kFailedRetryable,
                                  "runner host-2 was not heard of until its lease ended"}));
  EXPECT_EQ(attempts[2].runner, "host-3");
  EXPECT_FALSE(attempts[2].end_time.has_value());
  EXPECT_FALSE(attempts[2].outcome.has_value());
}

// A run that went on from step 2 does steps 3 and 4 again, at other report times: what the lost
// attempt measured there is gone, not mixed in.
TEST_F(QueueTest, MeasurementsAreRowsAndStepsDoneAgainReplaceTheOldOnes) {
  const Job job = Submit();
  const auto report = [&](int attempt, int64_t sequence, int64_t step, double loss) {
    const Event event = {sequence, clock_.Now(), attempt,
                         Progress{.step = step, .steps = 9, .metrics = {{"loss", loss}}}};
    ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, attempt, {event}).ok());
  };
  const Job first = *Acquire();
  int64_t at = first.reported_sequence;
  report(1, ++at, 0, 9.0);  // nothing was learnt yet
  report(1, ++at, 1, 5.0);
  report(1, ++at, 2, 4.0);
  report(1, ++at, 4, 3.0);
  report(1, ++at, 6, std::numeric_limits<double>::quiet_NaN());
  ASSERT_TRUE(End(first, Outcome::kHandedBack).ok());
  const Job second = *Acquire();
  report(2, second.reported_sequence + 1, 3, 3.5);
  const std::vector<StepMetrics> rows = *queue_->Metrics(job.id, 0, 100);
  EXPECT_THAT(rows, ElementsAre(StepMetrics{1, clock_.Now(), 1, {{"loss", 5.0}}},
                                StepMetrics{2, clock_.Now(), 1, {{"loss", 4.0}}},
                                StepMetrics{3, clock_.Now(), 2, {{"loss", 3.5}}}));
  EXPECT_THAT(*queue_->Metrics(job.id, 1, 1), ElementsAre(rows[1]));
}

TEST_F(QueueTest, TheViewOfTrainingHasAColumnForEachMeasurementAndHeldOutLossWhereItWasMeasured) {
  Submit();
  const Job job = *Acquire();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  int64_t at = job.reported_sequence;
  for (const int64_t step : {100, 150}) {
    const Event event = {++at, clock_.Now(), 1,
                         Progress{.step = step,
                                  .steps = 200,
                                  .metrics = {{"loss", step == 150 ? nan : 2.5},
                                              {"held_out_loss", 2.75},
                                              {"held_out_step", 100},
                                              {"tokens", 1e6},
                                              {"learning_rate", 0.004},
                                              {"grad_norm", 0.5},
                                              {"tokens_per_second", 8000},
                                              {"gflops", 70},
                                              {"gemm_peak_share", 0.625},
                                              {"peak_memory_bytes", 3e8}}}};
    ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {event}).ok());
  }
  const auto rows = pool_->Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<std::string>> {
        std::vector<std::string> texts;
        for (const pqxx::row& row : sql.exec(
                 "SELECT concat_ws(' ', step, attempt, tokens, loss, coalesce(held_out_loss, -1),"
                 " learning_rate, gradient_norm, tokens_per_second, gflops, peak_memory_bytes,"
                 " gemm_peak_share)"
                 " FROM trainer.training_metrics ORDER BY step")) {
          texts.push_back(row[0].as<std::string>());
        }
        return texts;
      });
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, ElementsAre("100 1 1000000 2.5 2.75 0.004 0.5 8000 70 300000000 0.625",
                                 "150 1 1000000 NaN -1 0.004 0.5 8000 70 300000000 0.625"));
}

TEST_F(QueueTest, ATeamAtItsLimitWaitsWhileOthersAreTaken) {
  Leasing limited(*queue_, clock_,
                  {.lease = kLease, .retry = {absl::Seconds(2)}, .limits = {1, {}}});
  const Job first = Submit(), second = Submit();
  const Job other = Submit("pretrain", "vision");
  const auto take = [&] {
    const auto job = limited.Acquire({"pretrain"}, "host-1");
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() && job->has_value() ? (*job)->id : "";
  };
  EXPECT_EQ(take(), first.id);
  EXPECT_EQ(take(), other.id);
  EXPECT_EQ(take(), "");
  ASSERT_TRUE(submission_->Pause("nlp", first.id).ok());
  EXPECT_EQ(take(), "") << "it is held until its runner has stopped";
  ASSERT_TRUE(
      limited.Finish("nlp", first.id, {.attempt = 1, .outcome = Outcome::kHandedBack}).ok());
  EXPECT_EQ(take(), second.id);
}

TEST_F(QueueTest, ManyRunnersAtOnceDoNotPassATeamsLimit) {
  Leasing limited(*queue_, clock_,
                  {.lease = kLease, .retry = {absl::Seconds(2)}, .limits = {2, {}}});
  for (int i = 0; i < 10; ++i) Submit();
  std::atomic<int> taken = 0;
  std::vector<std::thread> runners;
  for (int i = 0; i < 8; ++i) {
    runners.emplace_back([&, i] {
      const auto job = limited.Acquire({"pretrain"}, absl::StrCat("host-", i));
      ASSERT_TRUE(job.ok()) << job.status();
      if (job->has_value()) ++taken;
    });
  }
  for (std::thread& runner : runners) runner.join();
  EXPECT_EQ(taken, 2);
}

TEST_F(QueueTest, CountsTheJobsThatAreOpen) {
  Submit();
  Submit();
  ASSERT_TRUE(End(*Acquire(), Outcome::kSucceeded).ok());
  const auto open = queue_->CountOpen();
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_THAT(*open, ElementsAre(testing::Pair(State::kQueued, 1)));
}

TEST_F(QueueTest, WithoutPostgresEverythingIsUnavailableAndComesBack) {
  const Job job = Submit();
  test::Postgres::Shared().Stop();
  EXPECT_EQ(queue_->Get("nlp", job.id).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(leasing_->Acquire({"pretrain"}, "host-1").status().code(),
            absl::StatusCode::kUnavailable);
  test::Postgres::Shared().Start();
  EXPECT_EQ(Acquire()->id, job.id);
}

}  // namespace
}  // namespace floe::jobs
