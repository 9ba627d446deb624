// Who is taken first, who is held back, and what the runners are, on a real Postgres.
#include <atomic>
#include <barrier>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "jobs/postgres/runner_store.h"
#include "tests/jobs/postgres/queue_fixture.h"

namespace floe::jobs {
namespace {

using testing::HasSubstr;

class OrderTest : public QueueTest {
 protected:
  Job SubmitWith(int priority, const std::string& team = "nlp") {
    return Submit("pretrain", team, "", priority);
  }
};

TEST_F(OrderTest, AHigherPriorityGoesFirstAndAnOlderJobAmongEquals) {
  const Job usual = SubmitWith(0);
  const Job low = SubmitWith(-5);
  const Job urgent = SubmitWith(10);
  const Job later = SubmitWith(10);
  EXPECT_EQ(queue_->Get("nlp", urgent.id)->queue_position, 1);
  EXPECT_EQ(queue_->Get("nlp", later.id)->queue_position, 2);
  EXPECT_EQ(queue_->Get("nlp", usual.id)->queue_position, 3);
  EXPECT_EQ(queue_->Get("nlp", low.id)->queue_position, 4);
  EXPECT_EQ(queue_->Get("nlp", low.id)->priority, -5);
  for (const Job& next : {urgent, later, usual, low}) EXPECT_EQ(Acquire()->id, next.id);
}

TEST_F(OrderTest, APriorityOutOfBoundsQueuesNothing) {
  for (const int priority : {kLeastPriority - 1, kMostPriority + 1}) {
    const auto job = submission_->Submit({"nlp", "pretrain", "{}", 3, "key-1", "", priority});
    EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(job.status().message()), HasSubstr("-100 to 100"));
  }
  EXPECT_FALSE(Acquire().has_value());
}

TEST_F(OrderTest, TeamsMayHaveLimitsOfTheirOwn) {
  Leasing limited(*queue_, clock_,
                  {.lease = kLease,
                   .retry = {absl::Seconds(2)},
                   .limits = {1, {{"vision", 2}, {"speech", 0}}}});
  std::map<std::string, int> taken;
  for (int i = 0; i < 4; ++i) {
    for (const char* team : {"nlp", "vision", "speech"}) SubmitWith(0, team);
  }
  for (int i = 0; i < 12; ++i) {
    const auto job = limited.Acquire({"pretrain"}, absl::StrCat("host-", i));
    ASSERT_TRUE(job.ok()) << job.status();
    if (*job) ++taken[(*job)->team];
  }
  EXPECT_EQ(taken["nlp"], 1);
  EXPECT_EQ(taken["vision"], 2);
  EXPECT_EQ(taken["speech"], 4);
  EXPECT_EQ(*queue_->CountHeld("vision"), 2);
}

class WaitingLimitTest : public OrderTest {
 protected:
  absl::StatusOr<Job> Try(const std::string& team, const std::string& request_id = "") {
    return limited_.Submit({team, "pretrain", "{}", 3, "key-1", request_id});
  }
  static void ExpectRefused(const absl::StatusOr<Job>& job) {
    EXPECT_EQ(job.status().code(), absl::StatusCode::kResourceExhausted) << job.status();
    const auto reason = ReasonOf(job.status());
    ASSERT_TRUE(reason.has_value());
    EXPECT_EQ(reason->reason, "QUEUED_JOBS_LIMIT");
    EXPECT_THAT(std::string(job.status().message()),
                testing::AllOf(HasSubstr("team nlp has 2 jobs waiting"), HasSubstr("may have 2"),
                               HasSubstr("floe jobs cancel")));
  }
  Submission limited_{*queue_, clock_, ids_, "trainer", {2, {{"vision", 1}, {"speech", 0}}}};
};

TEST_F(WaitingLimitTest, AJobBeyondItIsRefusedAndQueuesNothing) {
  const auto first = Try("nlp", "request-1");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(Try("nlp").ok());
  ExpectRefused(Try("nlp"));
  ExpectRefused(Try("nlp", "request-2"));
  EXPECT_EQ(Try("nlp", "request-1")->id, first->id) << "it is no further job";
  EXPECT_TRUE(Try("vision").ok());
  EXPECT_FALSE(Try("vision").ok());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Try("speech").ok());
  EXPECT_EQ(queue_->List("nlp", "", 10)->jobs.size(), 2u);
}

TEST_F(WaitingLimitTest, WhatIsTakenOrCancelledMakesRoomAndWhatIsPausedDoesNot) {
  const auto first = Try("nlp");
  const auto second = Try("nlp");
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE(limited_.Pause("nlp", second->id).ok());
  ExpectRefused(Try("nlp"));
  const auto taken = Acquire();
  ASSERT_EQ(taken->id, first->id);
  const auto third = Try("nlp");
  ASSERT_TRUE(third.ok()) << third.status();
  // What comes back to the queue is not refused, though there are more of them now.
  ASSERT_TRUE(limited_.Resume("nlp", second->id).ok());
  EXPECT_EQ(End(*taken, Outcome::kHandedBack)->state, State::kQueued);
  ASSERT_TRUE(limited_.Cancel("nlp", third->id).ok());
  ExpectRefused(Try("nlp"));
  ASSERT_TRUE(limited_.Cancel("nlp", second->id).ok());
  EXPECT_TRUE(Try("nlp").ok());
}

TEST_F(WaitingLimitTest, ManyAtOnceFindNoMoreRoomThanThereIs) {
  constexpr int kCallers = 12;
  std::barrier start(kCallers);
  std::atomic<int> queued = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      start.arrive_and_wait();
      if (Try("nlp").ok()) ++queued;
    });
  }
  callers.clear();
  EXPECT_EQ(queued, 2);
}

TEST(TeamLimitsTest, ExceptionsAreReadAndWhatIsNoneIsNamed) {
  const auto limits = ParseTeamLimits("queued-jobs", 2, {"vision=4", "speech=0"});
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ(limits->Of("nlp"), 2);
  EXPECT_EQ(limits->Of("vision"), 4);
  EXPECT_EQ(limits->Of("speech"), 0);
  for (const char* wrong : {"vision", "vision=", "vision=-1", "vision=two", "=3", "Vi sion=3"}) {
    const auto refused = ParseTeamLimits("queued-jobs", 2, {wrong});
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(refused.status().message()),
                testing::AllOf(HasSubstr("queued-jobs-of"), HasSubstr(wrong)));
  }
  EXPECT_FALSE(ParseTeamLimits("queued-jobs", 0, {"vision=1", "vision=2"}).ok());
  EXPECT_FALSE(ParseTeamLimits("queued-jobs", -1, {}).ok());
}

TEST(TeamLimitsTest, OnlyATeamAtItsLimitIsHeldBack) {
  const TeamLimits limits{2, {{"speech", 0}}};
  EXPECT_EQ(WhyHeldBack(limits, "nlp", 1), "");
  EXPECT_EQ(WhyHeldBack(limits, "speech", 50), "");
  EXPECT_THAT(WhyHeldBack(limits, "nlp", 2), HasSubstr("has 2 jobs in work and may have 2"));
}

class RunnerStoreTest : public QueueTest {
 protected:
  static constexpr int64_t kGib = int64_t{1} << 30;
  void Note(const std::string& name, int64_t memory) {
    const absl::Status noted = runners_->Note({name, {"pretrain", "sft"}, memory}, clock_.Now());
    EXPECT_TRUE(noted.ok()) << noted;
  }
  int64_t Largest(const std::string& kind = "pretrain") {
    const auto there = runners_->OfKind(kind, clock_.Now());
    EXPECT_TRUE(there.ok()) << there.status();
    return there.ok() ? there->largest_memory : -1;
  }
  const std::unique_ptr<RunnerStore> runners_ = MakePostgresRunnerStore(*pool_, "trainer");
};

TEST_F(RunnerStoreTest, TheLargestRunnerOfAKindCounts) {
  EXPECT_EQ(Largest(), 0);
  Note("host-1", 0);
  EXPECT_EQ(Largest(), 0);
  Note("host-2", 8 * kGib);
  Note("host-3", 4 * kGib);
  EXPECT_EQ(Largest(), 8 * kGib);
  EXPECT_EQ(Largest("tokenizer.train"), 0);
  Note("host-2", 2 * kGib);  // started again, with less
  EXPECT_EQ(Largest(), 4 * kGib);
  EXPECT_EQ(runners_->OfKind("sft", clock_.Now())->count, 3);
  EXPECT_EQ(runners_->OfKind("sft", clock_.Now())->untold, 1);
}

TEST_F(RunnerStoreTest, ASilentRunnerIsForgottenUnlessItIsAtWork) {
  Note("host-1", 8 * kGib);
  Note("host-2", 16 * kGib);
  Submit();
  ASSERT_TRUE(Acquire("host-1").has_value());
  clock_.Advance(kRunnerForgotten + absl::Seconds(1));
  EXPECT_EQ(Largest(), 8 * kGib);
  Note("host-3", kGib);
  EXPECT_EQ(Largest(), 8 * kGib);
}

TEST_F(RunnerStoreTest, ARunnerTakesNoJobThatNeedsMoreThanItHas) {
  const auto submit = [&](int64_t memory) {
    return submission_->Submit({"nlp", "pretrain", "{}", 3, "key-1", "", 0, memory})->id;
  };
  const std::string large = submit(8 * kGib), small = submit(kGib), unknown = submit(0);
  const auto take = [&](int64_t memory) {
    const auto job = leasing_->Acquire({"pretrain"}, "host-1", memory);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() && *job ? (*job)->id : "";
  };
  EXPECT_EQ(take(8 * kGib - 1), small);
  EXPECT_EQ(take(1), unknown);
  EXPECT_EQ(take(1), "");
  EXPECT_EQ(take(0), large) << "who does not tell its memory takes any";
}

TEST(RunnersTest, WhatNoneOfThemTakesIsSaidWithTheReason) {
  constexpr int64_t kGib = int64_t{1} << 30;
  EXPECT_THAT(WhyNoRunner({}, "pretrain", 0), HasSubstr("no runner of pretrain jobs is there"));
  EXPECT_THAT(WhyNoRunner({2, 0, kGib}, "pretrain", kGib + kGib / 2),
              HasSubstr("needs about 1.5 GiB, and the largest runner of pretrain jobs has 1.0"));
  EXPECT_EQ(WhyNoRunner({2, 1, kGib}, "pretrain", 2 * kGib), "") << "one has not told its memory";
  EXPECT_EQ(WhyNoRunner({2, 0, kGib}, "pretrain", kGib), "");
  EXPECT_EQ(WhyNoRunner({2, 0, kGib}, "pretrain", 0), "");
}

}  // namespace
}  // namespace floe::jobs
