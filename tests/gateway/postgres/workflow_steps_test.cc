// Steps of workflows: never one too many, however many gateways count at once.
#include "gateway/postgres/workflow_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "gateway/postgres/schema.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

class WorkflowStepsTest : public testing::Test {
 protected:
  WorkflowStepsTest() { EXPECT_TRUE(MigrateSchema(*pool_).ok()); }
  void Execute(const std::string& statement) {
    EXPECT_TRUE(pool_
                    ->Run([&](pqxx::transaction_base& sql) -> absl::Status {
                      sql.exec(statement);
                      return absl::OkStatus();
                    })
                    .ok());
  }

  std::unique_ptr<postgres::Pool> pool_ = *postgres::Pool::Create(
      {.dsn = test::Postgres::Shared().CreateDatabase(), .max_connections = 10});
};

TEST_F(WorkflowStepsTest, OfFiftyAtOnceAsManyPassAsMay) {
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  threads.reserve(50);
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] { passed += CountWorkflowStep(*pool_, "nlp", "w", 20).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 20);
  const absl::Status refused = CountWorkflowStep(*pool_, "nlp", "w", 20);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused)->reason, "WORKFLOW_STEPS_EXCEEDED");
  // Those that were refused did not count.
  EXPECT_TRUE(CountWorkflowStep(*pool_, "nlp", "w", 21).ok());
}

TEST_F(WorkflowStepsTest, TeamsAndWorkflowsCountApart) {
  EXPECT_TRUE(CountWorkflowStep(*pool_, "nlp", "w", 1).ok());
  EXPECT_FALSE(CountWorkflowStep(*pool_, "nlp", "w", 1).ok());
  EXPECT_TRUE(CountWorkflowStep(*pool_, "law", "w", 1).ok());
  EXPECT_TRUE(CountWorkflowStep(*pool_, "nlp", "v", 1).ok());
}

TEST_F(WorkflowStepsTest, WhatNobodyTouchedForAMonthIsForgotten) {
  for (const char* workflow : {"old", "new"}) {
    ASSERT_TRUE(CountWorkflowStep(*pool_, "nlp", workflow, 1).ok());
  }
  Execute(
      "UPDATE gateway.workflow_steps SET update_time = now() - interval '31 days'"
      " WHERE workflow_id = 'old'");
  ASSERT_TRUE(ForgetOldWorkflows(*pool_).ok());
  EXPECT_TRUE(CountWorkflowStep(*pool_, "nlp", "old", 1).ok());
  EXPECT_FALSE(CountWorkflowStep(*pool_, "nlp", "new", 1).ok());
}

}  // namespace
}  // namespace floe::gateway
