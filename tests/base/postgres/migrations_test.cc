#include "base/postgres/migrations.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "tests/support/postgres.h"

namespace floe::postgres {
namespace {

using ::testing::HasSubstr;

constexpr Migration kFirst{1, "0001_first", "CREATE TABLE t (x int); INSERT INTO t VALUES (1)"};
constexpr Migration kSecond{2, "0002_second", "ALTER TABLE t ADD y int; INSERT INTO t VALUES (2)"};
constexpr Migration kBroken{2, "0002_broken", "INSERT INTO t VALUES (2); SELECT * FROM nowhere"};

class MigrationsTest : public testing::Test {
 protected:
  std::unique_ptr<Pool> MakePool() {
    Pool::Options options;
    options.dsn = dsn_;
    return std::move(*Pool::Create(options));
  }
  int Read(const std::string& statement) {
    const auto value = pool_->Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<int> {
      return sql.exec1(statement)[0].as<int>();
    });
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(-1);
  }

  const std::string dsn_ = test::Postgres::Shared().CreateDatabase();
  const std::unique_ptr<Pool> pool_ = MakePool();
};

TEST_F(MigrationsTest, AreAppliedInOrderInTheirSchema) {
  const Migration files[] = {kFirst, kSecond};
  ASSERT_TRUE(Migrate(*pool_, "registry", files).ok());
  EXPECT_EQ(Read("SELECT count(*) FROM registry.t"), 2);
  EXPECT_EQ(Read("SELECT max(number) FROM registry.schema_migrations"), 2);
}

TEST_F(MigrationsTest, AreAppliedOnceHoweverOften) {
  const Migration first[] = {kFirst};
  const Migration both[] = {kFirst, kSecond};
  ASSERT_TRUE(Migrate(*pool_, "s", first).ok());
  ASSERT_TRUE(Migrate(*pool_, "s", both).ok());
  ASSERT_TRUE(Migrate(*pool_, "s", both).ok());
  EXPECT_EQ(Read("SELECT count(*) FROM s.t"), 2);
}

TEST_F(MigrationsTest, ProcessesThatStartTogetherApplyThemOnce) {
  const Migration files[] = {kFirst, kSecond};
  std::vector<absl::Status> results(8);
  std::vector<std::thread> processes;
  for (absl::Status& result : results) {
    processes.emplace_back([&] {
      const auto pool = MakePool();
      result = Migrate(*pool, "s", files);
    });
  }
  for (std::thread& process : processes) process.join();
  for (const absl::Status& result : results) EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(Read("SELECT count(*) FROM s.t"), 2);
}

TEST_F(MigrationsTest, AFileThatChangedAfterItWasAppliedIsRefused) {
  const Migration before[] = {kFirst};
  ASSERT_TRUE(Migrate(*pool_, "s", before).ok());
  const Migration after[] = {{1, "0001_first", "CREATE TABLE t (x bigint)"}, kSecond};
  const absl::Status status = Migrate(*pool_, "s", after);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(ReasonOf(status)->reason, "MIGRATION_CHANGED");
  EXPECT_THAT(std::string(status.message()), HasSubstr("0001_first"));
  EXPECT_EQ(Read("SELECT max(number) FROM s.schema_migrations"), 1) << "nothing else was applied";
}

TEST_F(MigrationsTest, AFailureLeavesTheDatabaseAsItWas) {
  const Migration files[] = {kFirst, kBroken};
  const absl::Status status = Migrate(*pool_, "s", files);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("0002_broken"));
  EXPECT_EQ(Read("SELECT count(*) FROM pg_namespace WHERE nspname = 's'"), 0);
}

TEST_F(MigrationsTest, ANewerProgramsFilesAreLeftAlone) {
  const Migration both[] = {kFirst, kSecond};
  const Migration first[] = {kFirst};
  ASSERT_TRUE(Migrate(*pool_, "s", both).ok());
  EXPECT_TRUE(Migrate(*pool_, "s", first).ok());
  EXPECT_EQ(Read("SELECT max(number) FROM s.schema_migrations"), 2);
}

TEST_F(MigrationsTest, SchemasDoNotMeet) {
  const Migration files[] = {kFirst};
  ASSERT_TRUE(Migrate(*pool_, "one", files).ok());
  ASSERT_TRUE(Migrate(*pool_, "Other-2", files).ok());
  EXPECT_EQ(Read("SELECT count(*) FROM one.t"), 1);
  EXPECT_EQ(Read("SELECT count(*) FROM \"Other-2\".t"), 1);
}

TEST_F(MigrationsTest, AGapInTheNumbersIsAMistakeOfTheProgram) {
  const Migration files[] = {kSecond};
  EXPECT_EQ(Migrate(*pool_, "s", files).code(), absl::StatusCode::kInternal);
}

TEST_F(MigrationsTest, TakeLongerThanAStatementMay) {
  Pool::Options options;
  options.dsn = dsn_;
  options.statement_timeout = absl::Milliseconds(100);
  const auto pool = std::move(*Pool::Create(options));
  const Migration files[] = {{1, "0001_slow", "CREATE TABLE t (x int); SELECT pg_sleep(0.3)"}};
  EXPECT_TRUE(Migrate(*pool, "s", files).ok());
  const absl::Status after = pool->Run([](pqxx::transaction_base& sql) {
    sql.exec("SELECT pg_sleep(60)");
    return absl::OkStatus();
  });
  EXPECT_EQ(after.code(), absl::StatusCode::kDeadlineExceeded) << "the timeout is back afterwards";
}

}  // namespace
}  // namespace floe::postgres
