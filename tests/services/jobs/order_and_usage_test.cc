// Priorities, limits and what jobs used, from a person's call to billing: real gRPC and Postgres.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "base/error_reason.h"
#include "floe/billing/v1/usage.grpc.pb.h"
#include "jobs/postgres/usage_outbox.h"
#include "jobs/runners.h"
#include "services/jobs/usage_sender.h"
#include "tests/services/jobs/job_service.h"
#include "tests/support/postgres.h"

namespace floe::jobs {
namespace {

using testing::HasSubstr;
namespace pb = billing::v1;

// Billing as a queue sees it. Thread-safe.
class FakeBilling final : public pb::UsageService::Service {
 public:
  grpc::Status IngestJobUsage(grpc::ServerContext*, const pb::IngestJobUsageRequest* request,
                              pb::IngestJobUsageResponse*) override {
    std::lock_guard lock(mutex_);
    for (const pb::JobUsage& one : request->attempts()) {
      ++times_[one.job()];
      last_ = one;
    }
    queue_ = request->queue();
    for (const pb::JobCount& count : request->counts()) counted_ = count.used().attempts();
    came_.notify_all();
    if (refusals_ == 0) return grpc::Status::OK;
    --refusals_;  // it was taken in, and the answer is lost
    return {grpc::StatusCode::UNAVAILABLE, "the answer was lost"};
  }
  void LoseAnswers(int count) {
    std::lock_guard lock(mutex_);
    refusals_ = count;
  }
  // Until the job came so often; how often it did.
  int WaitFor(const std::string& job, int times) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::seconds(60), [&] { return times_[job] >= times; });
    return times_[job];
  }
  pb::JobUsage last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  std::string queue() {
    std::lock_guard lock(mutex_);
    return queue_;
  }
  int64_t counted() {
    std::lock_guard lock(mutex_);
    return counted_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::map<std::string, int> times_;  // guarded by mutex_
  pb::JobUsage last_;                 // guarded by mutex_
  std::string queue_;                 // guarded by mutex_
  int64_t counted_ = 0;               // guarded by mutex_
  int refusals_ = 0;                  // guarded by mutex_
};

class OrderAndUsageTest : public testing::Test {
 protected:
  OrderAndUsageTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&billing_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                   grpc::InsecureChannelCredentials());
  }
  v1::Lease Take() {
    const auto answer = runner_.Acquire(absl::Seconds(30));
    EXPECT_TRUE(answer.ok() && answer->has_lease()) << answer.status();
    return answer.ok() ? answer->lease() : v1::Lease{};
  }
  v1::Lease RunToItsEnd(int64_t tokens) {
    EXPECT_TRUE(person_.Create("{}").ok());
    const v1::Lease lease = Take();
    EXPECT_TRUE(runner_.Heartbeat(lease, {}, tokens).ok());
    EXPECT_TRUE(runner_.Finish(lease, v1::FinishAttemptRequest::SUCCEEDED).ok());
    return lease;
  }

  FakeBilling billing_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string dsn_ = test::Postgres::Shared().CreateDatabase();
  JobServiceHost host_{dsn_};
  JobCaller person_{host_.channel(), "nlp"};
  JobCaller runner_{host_.channel(), ""};
};

TEST_F(OrderAndUsageTest, OnlyAnAdminPutsAJobBeforeTheOthers) {
  host_.Start();
  const auto refused = person_.CreateWith(1, "developer");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(refused.status())->reason, "PRIORITY_IS_FOR_ADMINS");
  EXPECT_EQ(person_.CreateWith(101, "admin").status().code(), absl::StatusCode::kInvalidArgument);
  const auto modest = person_.CreateWith(-1, "developer");
  const auto usual = person_.CreateWith(0, "developer");
  const auto urgent = person_.CreateWith(7, "admin");
  ASSERT_TRUE(modest.ok() && usual.ok() && urgent.ok());
  EXPECT_EQ(urgent->priority(), 7);
  EXPECT_EQ(urgent->queue_position(), 1);
  EXPECT_EQ(person_.Get(modest->name())->queue_position(), 3);
  EXPECT_EQ(Take().job().name(), urgent->name());
  EXPECT_EQ(Take().job().name(), usual->name());
}

TEST_F(OrderAndUsageTest, AJobSaysThatItsTeamsLimitHoldsItBack) {
  host_.options().limits = {0, {{"nlp", 1}}};
  host_.Start();
  EXPECT_THAT(person_.Create("{}", "request-1")->held_back(),
              HasSubstr("no runner of test.work jobs is there"));
  EXPECT_TRUE(runner_.Finish(Take(), v1::FinishAttemptRequest::SUCCEEDED).ok());
  ASSERT_TRUE(person_.Create("{}").ok());
  const auto second = person_.Create("{}");
  EXPECT_EQ(second->held_back(), "");
  const v1::Lease lease = Take();
  EXPECT_THAT(person_.Get(second->name())->held_back(), HasSubstr("team nlp has 1 job in work"));
  EXPECT_THAT(person_.List(0)->jobs(0).held_back(), HasSubstr("may have 1"));
  ASSERT_TRUE(runner_.Finish(lease, v1::FinishAttemptRequest::SUCCEEDED).ok());
  EXPECT_EQ(person_.Get(second->name())->held_back(), "");
}

TEST_F(OrderAndUsageTest, ATeamWithEnoughJobsWaitingIsToldSo) {
  host_.options().queued_limits = {3, {{"nlp", 1}}};
  host_.Start();
  const auto first = person_.Create("{}", "request-1");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto refused = person_.Create("{}", "request-2");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused.status())->reason, "QUEUED_JOBS_LIMIT");
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("team nlp has 1 job waiting in this queue (queued or paused) and may have "
                        "1: submit this one when"));
  EXPECT_EQ(person_.Create("{}", "request-1")->name(), first->name());
  Take();
  EXPECT_TRUE(person_.Create("{}", "request-2").ok()) << "a refusal is not remembered";
}

TEST_F(OrderAndUsageTest, AJobWaitsForARunnerThatHasTheMemory) {
  host_.Start();
  constexpr int64_t kGib = int64_t{1} << 30;
  const auto ask = [&](const std::string& runner, int64_t memory) {
    return runner_.Acquire(absl::ZeroDuration(), runner, memory)->lease().job().name();
  };
  EXPECT_EQ(ask("small", 4 * kGib), "");
  const std::string large = person_.Create("large")->name();
  const std::string usual = person_.Create("{}")->name();
  EXPECT_THAT(person_.Get(large)->held_back(),
              HasSubstr("needs about 8.0 GiB, and the largest runner of test.work jobs has 4.0"));
  EXPECT_EQ(person_.Get(large)->memory_bytes(), 8 * kGib);
  EXPECT_EQ(person_.Get(usual)->held_back(), "");
  EXPECT_EQ(ask("small", 4 * kGib), usual) << "it goes past what it has no room for";
  EXPECT_EQ(ask("small", 4 * kGib), "");
  EXPECT_EQ(ask("big", 8 * kGib), large);
}

TEST_F(OrderAndUsageTest, WhatAnAttemptUsedReachesBilling) {
  host_.options().billing = channel_;
  host_.Start();
  const v1::Lease lease = RunToItsEnd(1234);
  EXPECT_EQ(billing_.WaitFor(lease.job().name(), 1), 1);
  EXPECT_EQ(billing_.queue(), "test");
  EXPECT_EQ(billing_.last().used().tokens(), 1234);
  EXPECT_EQ(billing_.last().outcome(), "succeeded");
  EXPECT_EQ(billing_.counted(), 1);
  EXPECT_EQ(person_.Get(lease.job().name())->attempts(0).used().tokens(), 1234);
}

TEST_F(OrderAndUsageTest, WhatWasWrittenBeforeACrashIsSentByTheNextProcess) {
  host_.Start();  // which never sends
  const v1::Lease lease = RunToItsEnd(55);
  host_.Stop();
  host_.options().billing = channel_;
  billing_.LoseAnswers(2);
  host_.Start();
  EXPECT_GE(billing_.WaitFor(lease.job().name(), 3), 3);  // twice in vain, then taken
  host_.Stop();
  const auto pool = *postgres::Pool::Create({.dsn = dsn_});
  EXPECT_EQ(*MakePostgresUsageOutbox(*pool, "test")->Waiting(), 0);
  EXPECT_EQ(billing_.counted(), 1);
}

}  // namespace
}  // namespace floe::jobs
