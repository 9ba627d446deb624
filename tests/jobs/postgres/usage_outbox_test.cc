// What attempts used, from the runner's words to a delivery, on a real Postgres.
#include "jobs/postgres/usage_outbox.h"

#include "absl/strings/str_cat.h"

#include "jobs/reaper.h"
#include "tests/jobs/postgres/queue_fixture.h"

namespace floe::jobs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const Usage kSome = {100, 7, absl::Seconds(3)};
const Usage kMore = {250, 18, absl::Seconds(8)};

class UsageOutboxTest : public QueueTest {
 protected:
  // Delivers all there is in batches of `limit`; what came.
  std::vector<UsageDelivery> Deliver(int limit = 100) {
    std::vector<UsageDelivery> deliveries;
    while (true) {
      const auto sent = outbox_->Deliver(limit, [&](const UsageDelivery& delivery) {
        deliveries.push_back(delivery);
        return absl::OkStatus();
      });
      EXPECT_TRUE(sent.ok()) << sent.status();
      if (!sent.ok() || *sent == 0) return deliveries;
    }
  }
  void Finish(const Job& job, Outcome outcome, const Usage& used, const std::string& result = "") {
    const auto ended = leasing_->Finish(
        job.team, job.id,
        {.attempt = job.attempt, .outcome = outcome, .result = result, .used = used});
    ASSERT_TRUE(ended.ok()) << ended.status();
  }
  const std::unique_ptr<UsageOutbox> outbox_ = MakePostgresUsageOutbox(*pool_, "trainer");
};

TEST_F(UsageOutboxTest, AnAttemptIsToldWhenItHasEnded) {
  Submit();
  const Job job = *Acquire("host-7");
  ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {}, kSome).ok());
  EXPECT_THAT(Deliver(), IsEmpty());
  EXPECT_EQ(queue_->Attempts(job.id)->at(0).used, kSome);
  Finish(job, Outcome::kSucceeded, kMore, "teams/nlp/models/hamlet/versions/1");
  const auto deliveries = Deliver();
  ASSERT_THAT(deliveries, SizeIs(1));
  ASSERT_THAT(deliveries[0].attempts, SizeIs(1));
  const AttemptUsage& one = deliveries[0].attempts[0];
  EXPECT_EQ(one.job, job.name());
  EXPECT_EQ(one.team, "nlp");
  EXPECT_EQ(one.kind, "pretrain");
  EXPECT_EQ(one.made, "teams/nlp/models/hamlet/versions/1");
  EXPECT_EQ(one.attempt.runner, "host-7");
  EXPECT_EQ(one.attempt.end_time, clock_.Now());
  EXPECT_EQ(one.attempt.outcome, Outcome::kSucceeded);
  EXPECT_EQ(one.attempt.used, kMore);
  ASSERT_THAT(deliveries[0].counts, SizeIs(1));
  EXPECT_EQ(deliveries[0].counts[0].attempts, 1);
  EXPECT_EQ(deliveries[0].counts[0].used, kMore);
  EXPECT_THAT(Deliver(), IsEmpty());
}

TEST_F(UsageOutboxTest, OfALostRunnerCountsWhatItLastTold) {
  Submit();
  const Job job = *Acquire();
  ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {}, kMore).ok());
  ASSERT_TRUE(leasing_->Heartbeat("nlp", job.id, 1, {}, kSome).ok());  // overtaken on the way
  Reaper reaper(*queue_, clock_, {.lease = kLease});
  ASSERT_TRUE(reaper.Tick().ok());
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(kLease / 2);
    ASSERT_TRUE(reaper.Tick().ok());
  }
  const auto deliveries = Deliver();
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].attempts[0].attempt.used, kMore);
  EXPECT_EQ(deliveries[0].attempts[0].attempt.outcome, Outcome::kFailedRetryable);
}

TEST_F(UsageOutboxTest, WhatARefusedReportSaysIsNotCounted) {
  Submit();
  const Job first = *Acquire();
  Finish(first, Outcome::kHandedBack, kSome);
  const Job second = *Acquire();
  EXPECT_FALSE(leasing_->Heartbeat("nlp", first.id, 1, {}, kMore).ok());
  Finish(second, Outcome::kSucceeded, kSome);
  Finish(second, Outcome::kSucceeded, kMore);  // repeated: it changes nothing
  const auto deliveries = Deliver();
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].counts[0].attempts, 2);
  EXPECT_EQ(deliveries[0].counts[0].used.tokens, 2 * kSome.tokens);
  EXPECT_EQ(deliveries[0].counts[0].used.core_time, 2 * kSome.core_time);
}

TEST_F(UsageOutboxTest, WhatWasNotTakenComesAgainAlsoFromTheNextProcess) {
  Submit();
  Finish(*Acquire(), Outcome::kSucceeded, kSome);
  // The process that ended the attempt, and one that died behind the sending, are gone.
  const auto pool = *postgres::Pool::Create({.dsn = pool_->options().dsn});
  const auto next = MakePostgresUsageOutbox(*pool, "trainer");
  std::vector<UsageDelivery> seen;
  const auto lost = next->Deliver(10, [&](const UsageDelivery& delivery) {
    seen.push_back(delivery);
    return absl::UnavailableError("no answer");
  });
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*next->Waiting(), 1);
  const auto again = Deliver();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].attempts[0].job, seen[0].attempts[0].job);
  EXPECT_EQ(again[0].counts[0].used, seen[0].counts[0].used);
  EXPECT_EQ(*next->Waiting(), 0);
}

TEST_F(UsageOutboxTest, EachCountIsOfWhatWasSentUpToThen) {
  for (int i = 0; i < 5; ++i) {
    Submit("pretrain", i == 3 ? "vision" : "nlp");
    Finish(*Acquire(), Outcome::kSucceeded, kSome);
  }
  std::vector<std::string> counts;
  for (const UsageDelivery& delivery : Deliver(2)) {
    for (const UsageCount& count : delivery.counts) {
      counts.push_back(absl::StrCat(count.team, " ", count.attempts, " ", count.used.tokens));
    }
  }
  EXPECT_THAT(counts, ElementsAre("nlp 2 200", "nlp 3 300", "vision 1 100", "nlp 4 400"));
}

TEST_F(UsageOutboxTest, OneProcessSendsAtATime) {
  Submit();
  Finish(*Acquire(), Outcome::kSucceeded, kSome);
  const auto sent = outbox_->Deliver(10, [&](const UsageDelivery&) {
    EXPECT_THAT(Deliver(), IsEmpty());
    return absl::OkStatus();
  });
  EXPECT_EQ(*sent, 1);
}

}  // namespace
}  // namespace floe::jobs
