// A queue on a real Postgres, with a database for each test, and what people and runners do with
// it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/postgres/pool.h"
#include "jobs/leasing.h"
#include "jobs/postgres/queue.h"
#include "jobs/submission.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"

namespace floe::jobs {

inline constexpr absl::Duration kLease = absl::Seconds(30);

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
             const std::string& request_id = "", int priority = 0) {
    const auto job =
        submission_->Submit({team, kind, "{\"a\":1}", 3, "key-1", request_id, priority});
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

}  // namespace floe::jobs
