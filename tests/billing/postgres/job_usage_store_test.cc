#include "billing/postgres/job_usage_store.h"

#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class JobUsageStoreTest : public StoreTest {
 protected:
  JobUsage Ended(const std::string& job, int attempt, const std::string& outcome = "succeeded",
                 const std::string& made = "teams/nlp/models/hamlet/versions/7") {
    return {.job = "teams/nlp/jobs/" + job,
            .attempt = attempt,
            .queue = "trainer",
            .kind = "pretrain",
            .runner = "host-1",
            .start_time = clock_.Now() - absl::Hours(1),
            .end_time = clock_.Now(),
            .outcome = outcome,
            .made = outcome == "succeeded" ? made : "",
            .used = {1, 1000, 20, absl::Seconds(60)}};
  }
  static JobCount Counted(int64_t attempts, const std::string& team = "nlp") {
    return {
        "trainer", team, {attempts, 1000 * attempts, 20 * attempts, absl::Seconds(60) * attempts}};
  }
  int64_t Append(const std::vector<JobUsage>& attempts, const std::vector<JobCount>& counts) {
    const auto accepted = job_usage_.Append(attempts, counts);
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    return accepted.value_or(-1);
  }
  VerifyReport Verify(const std::string& team = "") {
    const auto report = reports_.Verify(
        {.team = team, .interval = {At("2026-11-01T00:00:00Z"), At("2026-12-01T00:00:00Z")}});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(VerifyReport());
  }
  std::vector<JobUsageRow> Rows(const std::string& team = "",
                                JobUsageStore::Rows rows = JobUsageStore::Rows::kMade) {
    return *job_usage_.Query(team, {absl::UnixEpoch(), clock_.Now() + absl::Seconds(1)}, rows);
  }
};

TEST_F(JobUsageStoreTest, AnAttemptCountsOnceHoweverOftenItComes) {
  EXPECT_EQ(Append({Ended("a", 1, "failed_retryable"), Ended("a", 2)}, {Counted(2)}), 2);
  JobUsage changed = Ended("a", 2);
  changed.used.tokens = 5;
  EXPECT_EQ(Append({Ended("a", 1, "failed_retryable"), changed, Ended("a", 2)}, {Counted(2)}), 0);
  ASSERT_THAT(Rows(), SizeIs(1));
  EXPECT_EQ(Rows()[0].used, (JobQuantities{2, 2000, 40, absl::Seconds(120)}));
  EXPECT_TRUE(Verify().clean());
  EXPECT_EQ(Verify().jobs_counted, Verify().jobs_billed);
}

TEST_F(JobUsageStoreTest, AllAttemptsOfAJobBelongToWhatItMade) {
  Append({Ended("a", 1, "handed_back"), Ended("a", 2), Ended("b", 1, "failed_permanent")}, {});
  const auto rows = Rows();
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].made, "");
  EXPECT_EQ(rows[0].used, rows[0].unsuccessful);
  EXPECT_EQ(rows[1].made, "teams/nlp/models/hamlet/versions/7");
  EXPECT_EQ(rows[1].jobs, 1);
  EXPECT_EQ(rows[1].used.attempts, 2);
  EXPECT_EQ(rows[1].unsuccessful, (JobQuantities{1, 1000, 20, absl::Seconds(60)}));
  EXPECT_THAT(Rows("law"), IsEmpty());
}

TEST_F(JobUsageStoreTest, EachJobHasARowWhereThatIsAskedFor) {
  Append({Ended("a", 1, "handed_back"), Ended("a", 2), Ended("b", 1)}, {});
  ASSERT_THAT(Rows(), SizeIs(1));
  EXPECT_EQ(Rows()[0].job, "");
  EXPECT_EQ(Rows()[0].jobs, 2);
  const auto rows = Rows("nlp", JobUsageStore::Rows::kJobs);
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].job, "teams/nlp/jobs/a");
  EXPECT_EQ(rows[0].used.attempts, 2);
  EXPECT_EQ(rows[1].job, "teams/nlp/jobs/b");
  EXPECT_EQ(rows[1].jobs, 1);
}

TEST_F(JobUsageStoreTest, WhatAQueueCountsAndBillingLacksIsAFault) {
  Append({Ended("a", 1)}, {Counted(2)});
  const VerifyReport report = Verify();
  EXPECT_FALSE(report.clean());
  ASSERT_THAT(report.ledger_faults, SizeIs(1));
  EXPECT_THAT(report.ledger_faults[0],
              HasSubstr("queue of trainer counts for team nlp: 2 attempts"));
  EXPECT_THAT(report.ledger_faults[0], HasSubstr("billing has 1 attempts"));
  EXPECT_TRUE(Verify("law").clean());
  Append({Ended("b", 1)}, {});
  EXPECT_TRUE(Verify().clean());
}

TEST_F(JobUsageStoreTest, WhatNoQueueCountsIsAFault) {
  Append({Ended("a", 1)}, {});
  EXPECT_THAT(Verify().ledger_faults, SizeIs(1));
}

TEST_F(JobUsageStoreTest, ACountThatWasLongOnItsWayTakesNothingBack) {
  Append({Ended("a", 1), Ended("b", 1)}, {Counted(2)});
  Append({Ended("a", 1)}, {Counted(1)});
  EXPECT_TRUE(Verify().clean());
}

TEST_F(JobUsageStoreTest, StandsBesideTheCostOfTheVersionItMade) {
  Append({Ended("a", 1, "cancelled"), Ended("a", 2),
          Ended("c", 1, "succeeded", "teams/nlp/models/hamlet/versions/8")},
         {});
  const TrainingCost cost = {.id = "c1",
                             .team = "nlp",
                             .model = "teams/nlp/models/hamlet",
                             .model_version = "7",
                             .amount = Money::Picos(100),
                             .start_time = clock_.Now(),
                             .days = 10};
  const auto rows = CompareTrainingCost({cost}, {}, Rows(), clock_.Now());
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->at(0).used, (JobQuantities{2, 2000, 40, absl::Seconds(120)}));
}

TEST_F(JobUsageStoreTest, AnAttemptThatBreaksARuleIsRefused) {
  JobUsage usage = Ended("a", 1);
  EXPECT_TRUE(Validate(usage).ok());
  usage.job = "jobs/a";
  EXPECT_FALSE(Validate(usage).ok());
  usage = Ended("a", 0);
  EXPECT_FALSE(Validate(usage).ok());
  usage = Ended("a", 1);
  usage.used.core_time = -absl::Seconds(1);
  EXPECT_FALSE(Validate(usage).ok());
  usage = Ended("a", 1);
  usage.queue = "";
  EXPECT_FALSE(Validate(usage).ok());
  EXPECT_FALSE(Validate(JobCount{"trainer", "n l p", {}}).ok());
}

}  // namespace
}  // namespace floe::billing
