// The server goes away and comes back; these tests have one of their own.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/postgres/pool.h"
#include "tests/support/postgres.h"

namespace floe::postgres {
namespace {

class PoolFaultsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server = new test::Postgres; }
  static void TearDownTestSuite() {
    delete server;
    server = nullptr;
  }
  void SetUp() override {
    Pool::Options options;
    options.dsn = server->CreateDatabase();
    pool_ = std::move(*Pool::Create(options));
  }
  void TearDown() override {
    if (stopped_) StartServer();
  }
  void StopServer() {
    server->Stop();
    stopped_ = true;
  }
  void StartServer() {
    server->Start();
    stopped_ = false;
  }

  static test::Postgres* server;
  bool stopped_ = false;
  std::unique_ptr<Pool> pool_;
};
test::Postgres* PoolFaultsTest::server = nullptr;

TEST_F(PoolFaultsTest, SaysThatTheServerIsAwayAndWorksWhenItIsBack) {
  ASSERT_TRUE(pool_->Ping().ok());
  StopServer();
  const absl::Status away = pool_->Ping();
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable) << away;
  EXPECT_EQ(ReasonOf(away)->reason, "POSTGRES_UNAVAILABLE");
  EXPECT_EQ(pool_->stats().open, 0);
  StartServer();
  EXPECT_TRUE(pool_->Ping().ok());
}

TEST_F(PoolFaultsTest, ConnectionsThatDiedIdleAreReplacedUnseen) {
  // Two connections, both idle when the server restarts.
  ASSERT_TRUE(pool_->Run([&](pqxx::transaction_base&) { return pool_->Ping(); }).ok());
  ASSERT_EQ(pool_->stats().idle, 2);
  StopServer();
  StartServer();
  int runs = 0;
  const absl::Status status = pool_->Run([&](pqxx::transaction_base& sql) {
    ++runs;
    sql.exec("SELECT 1");
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs, 1);
}

TEST_F(PoolFaultsTest, AConnectionLostInTheMiddleIsNotRepeated) {
  ASSERT_TRUE(pool_->Ping().ok());
  int runs = 0;
  const absl::Status status = pool_->Run([&](pqxx::transaction_base& sql) {
    ++runs;
    sql.exec("CREATE TABLE t (x int)");
    StopServer();
    sql.exec("INSERT INTO t VALUES (1)");
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(runs, 1);
  StartServer();
  const absl::Status gone = pool_->Run([](pqxx::transaction_base& sql) {
    sql.exec("SELECT * FROM t");
    return absl::OkStatus();
  });
  EXPECT_EQ(gone.code(), absl::StatusCode::kInternal) << "the table must not be there: " << gone;
}

TEST_F(PoolFaultsTest, ACommitThatIsCutOffIsNotCalledAFailureOrASuccess) {
  ASSERT_TRUE(pool_->Ping().ok());
  const absl::Status status = pool_->Run([&](pqxx::transaction_base& sql) {
    sql.exec("CREATE TABLE t (x int)");
    StopServer();
    return absl::OkStatus();
  });
  EXPECT_FALSE(status.ok());
  // Whichever of the two pqxx sees, the transaction is not run again by itself.
  EXPECT_TRUE(absl::IsUnknown(status) || absl::IsUnavailable(status)) << status;
}

}  // namespace
}  // namespace floe::postgres
