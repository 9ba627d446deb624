// The queue on a real Postgres.
#include "jobs/postgres/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/error_reason.h"
#include "jobs/leasing.h"
#include "jobs/submission.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"

namespace floe::jobs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr absl::Duration kLease = absl::Seconds(30);

class QueueTest : public testing::Test {
 protected:
  QueueTest() {
    auto pool = postgres::Pool::Create(
        {.dsn = test::Postgres::Shared().CreateDatabase(), .max_connections = 16});
    EXPECT_TRUE(pool.ok()) << pool.status();
    pool_ = *std::move(pool);
    const absl::Status migrated = MigrateQueue(*pool_, "trainer");
    EXPECT_TRUE(migrated.ok()) << migrated;
    queue_ = MakePostgresQueue(*pool_, "trainer");
    submission_ = std::make_unique<Submission>(*queue_, clock_, ids_, "trainer");
    leasing_ = std::make_unique<Leasing>(
        *queue_, clock_, Leasing::Options{.lease = kLease, .retry = {absl::Seconds(2)}});
  }

  Job Submit(const std::string& kind = "pretrain", const std::string& team = "nlp",
             const std::string& request_id = "") {
    const auto job = submission_->Submit({team, kind, "{\"a\":1}", 3, "key-1", request_id});
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(Job{});
  }
  std::optional<Job> Acquire(const std::string& runner = "host-1") {
    const auto job = leasing_->Acquire({"pretrain", "other"}, runner);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(std::nullopt);
  }
  absl::StatusOr<Job> End(const Job& job, Outcome outcome) {
    return leasing_->Finish(job.team, job.id, {.attempt = job.attempt, .outcome = outcome});
  }
  Event Line(int64_t sequence, const std::string& text) {
    return {sequence, clock_.Now(), 1, LogLine{"info", text}};
  }
  std::vector<Event> Events(const std::string& id) {
    const auto events = queue_->Events(id, 0, 10000);
    EXPECT_TRUE(events.ok()) << events.status();
    return events.value_or(std::vector<Event>{});
  }
  std::vector<int64_t> Sequences(const std::string& id) {
    std::vector<int64_t> sequences;
    for (const Event& event : Events(id)) sequences.push_back(event.sequence);
    return sequences;
  }

  test::FakeClock clock_;
  test::FakeIds ids_;
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<JobQueue> queue_;
  std::unique_ptr<Submission> submission_;
  std::unique_ptr<Leasing> leasing_;
};

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
