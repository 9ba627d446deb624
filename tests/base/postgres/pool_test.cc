#include "base/postgres/pool.h"

#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "tests/support/postgres.h"

namespace floe::postgres {
namespace {

using ::testing::HasSubstr;

class PoolTest : public testing::Test {
 protected:
  std::unique_ptr<Pool> MakePool(int connections = 4) {
    Pool::Options options;
    options.dsn = dsn_;
    options.max_connections = connections;
    options.acquire_timeout = absl::Milliseconds(50);
    options.statement_timeout = absl::Milliseconds(500);
    return std::move(*Pool::Create(options));
  }
  static absl::Status Exec(Pool& pool, const std::string& statement) {
    return pool.Run([&](pqxx::transaction_base& sql) {
      sql.exec(statement);
      return absl::OkStatus();
    });
  }
  static int Read(Pool& pool, const std::string& statement) {
    const auto value = pool.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<int> {
      return sql.exec1(statement)[0].as<int>();
    });
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(-1);
  }

  const std::string dsn_ = test::Postgres::Shared().CreateDatabase();
};

TEST_F(PoolTest, CommitsWhatSucceedsAndRollsBackWhatFails) {
  const auto pool = MakePool();
  ASSERT_TRUE(Exec(*pool, "CREATE TABLE t (x int)").ok());
  ASSERT_TRUE(Exec(*pool, "INSERT INTO t VALUES (1)").ok());
  const absl::Status refused = pool->Run([](pqxx::transaction_base& sql) {
    sql.exec("INSERT INTO t VALUES (2)");
    return absl::FailedPreconditionError("changed my mind");
  });
  EXPECT_EQ(refused.message(), "changed my mind");
  EXPECT_EQ(Read(*pool, "SELECT count(*) FROM t"), 1);
}

TEST_F(PoolTest, AnExceptionRollsBackAndTheConnectionStaysUsable) {
  const auto pool = MakePool(1);
  EXPECT_EQ(Exec(*pool, "SELECT * FROM nowhere").code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(pool->Ping().ok());
  EXPECT_EQ(pool->stats().open, 1);
  EXPECT_EQ(pool->stats().idle, 1);
}

TEST_F(PoolTest, WhoFindsNoFreeConnectionWaitsOnlySoLong) {
  const auto pool = MakePool(1);
  const absl::Status outer = pool->Run([&](pqxx::transaction_base&) {
    const absl::Status inner = pool->Ping();
    EXPECT_EQ(inner.code(), absl::StatusCode::kResourceExhausted) << inner;
    EXPECT_EQ(ReasonOf(inner)->reason, "POSTGRES_POOL_EXHAUSTED");
    EXPECT_THAT(std::string(inner.message()), HasSubstr("all 1 Postgres connections"));
    return absl::OkStatus();
  });
  EXPECT_TRUE(outer.ok()) << outer;
  EXPECT_EQ(pool->stats().exhausted, 1);
  EXPECT_EQ(pool->stats().waiting, 0);
  EXPECT_TRUE(pool->Ping().ok());
}

TEST_F(PoolTest, WhoWaitsGetsTheConnectionThatComesFree) {
  Pool::Options options;
  options.dsn = dsn_;
  options.max_connections = 1;
  options.acquire_timeout = absl::Seconds(60);
  const auto pool = std::move(*Pool::Create(options));
  absl::Status waited = absl::UnknownError("not run");
  std::thread waiter;
  ASSERT_TRUE(pool->Run([&](pqxx::transaction_base&) {
                    waiter = std::thread([&] { waited = pool->Ping(); });
                    while (pool->stats().waiting == 0) std::this_thread::yield();
                    return absl::OkStatus();
                  })
                  .ok());
  waiter.join();
  EXPECT_TRUE(waited.ok()) << waited;
  EXPECT_EQ(pool->stats().open, 1);
}

TEST_F(PoolTest, ManyThreadsNeverOpenMoreThanTheBound) {
  Pool::Options options;
  options.dsn = dsn_;
  options.max_connections = 3;
  options.acquire_timeout = absl::Seconds(60);
  const auto pool = std::move(*Pool::Create(options));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (!pool->Ping().ok() || pool->stats().open > 3) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(pool->stats().idle, pool->stats().open);
}

TEST_F(PoolTest, TheServerEndsAStatementThatTakesTooLong) {
  const auto pool = MakePool(1);
  const absl::Status status = Exec(*pool, "SELECT pg_sleep(60)");
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_EQ(ReasonOf(status)->reason, "POSTGRES_TIMEOUT");
  EXPECT_TRUE(pool->Ping().ok());
}

TEST_F(PoolTest, EveryConnectionSaysWhoseItIs) {
  Pool::Options options;
  options.dsn = dsn_;
  options.application_name = "floe-pool-test";
  const auto pool = std::move(*Pool::Create(options));
  EXPECT_EQ(Read(*pool,
                 "SELECT count(*) FROM pg_stat_activity "
                 "WHERE application_name = 'floe-pool-test'"),
            1);
}

TEST_F(PoolTest, AConflictIsRepeatedUntilItPasses) {
  const auto pool = MakePool();
  ASSERT_TRUE(Exec(*pool, "CREATE TABLE t (x int); INSERT INTO t VALUES (0)").ok());
  int runs = 0;
  const absl::Status status = pool->Run(
      [&](pqxx::transaction_base& sql) {
        ++runs;
        const int seen = sql.exec1("SELECT x FROM t")[0].as<int>();
        // Someone else is faster, the first two times.
        if (runs <= 2) {
          EXPECT_TRUE(Exec(*pool, "UPDATE t SET x = x + 10").ok());
        }
        sql.exec_params("UPDATE t SET x = $1", seen + 1);
        return absl::OkStatus();
      },
      Isolation::kSerializable);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(Read(*pool, "SELECT x FROM t"), 21);
}

TEST_F(PoolTest, AConflictThatNeverPassesIsReported) {
  const auto pool = MakePool();
  ASSERT_TRUE(Exec(*pool, "CREATE TABLE t (x int); INSERT INTO t VALUES (0)").ok());
  int runs = 0;
  const absl::Status status = pool->Run(
      [&](pqxx::transaction_base& sql) {
        ++runs;
        sql.exec("SELECT x FROM t");
        EXPECT_TRUE(Exec(*pool, "UPDATE t SET x = x + 10").ok());
        sql.exec("UPDATE t SET x = 1");
        return absl::OkStatus();
      },
      Isolation::kRepeatableRead);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_EQ(runs, pool->options().max_attempts);
}

TEST_F(PoolTest, OptionsThatCannotBeAreRefused) {
  EXPECT_EQ(Pool::Create({}).status().code(), absl::StatusCode::kInvalidArgument);
  Pool::Options options;
  options.dsn = dsn_;
  options.max_connections = 0;
  EXPECT_EQ(Pool::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::postgres
