#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <unistd.h>

#include <pqxx/pqxx>

#include "tests/support/child_process.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"
#include "tests/support/redis.h"
#include "tests/support/temp_dir.h"

namespace floe::test {
namespace {

TEST(PostgresTest, EachDatabaseIsItsOwn) {
  pqxx::connection one(Postgres::Shared().CreateDatabase());
  pqxx::connection two(Postgres::Shared().CreateDatabase());
  pqxx::nontransaction(one).exec("CREATE TABLE t (x int)");
  EXPECT_THROW(pqxx::nontransaction(two).exec("SELECT * FROM t"), pqxx::sql_error);
}

TEST(PostgresTest, StopBreaksConnectionsAndStartBringsTheDataBack) {
  Postgres& postgres = Postgres::Shared();
  const std::string dsn = postgres.CreateDatabase();
  pqxx::connection before(dsn);
  pqxx::nontransaction(before).exec("CREATE TABLE t AS SELECT 7 AS x");
  postgres.Stop();
  EXPECT_THROW(pqxx::nontransaction(before).exec("SELECT 1"), pqxx::broken_connection);
  postgres.Start();
  pqxx::connection after(dsn);
  EXPECT_EQ(pqxx::nontransaction(after).exec1("SELECT x FROM t")[0].as<int>(), 7);
}

TEST(RedisTest, AnswersAndForgetsAfterStop) {
  Redis& redis = Redis::Shared();
  redisContext* context = redisConnectUnix(redis.socket().c_str());
  ASSERT_EQ(context->err, 0) << context->errstr;
  freeReplyObject(redisCommand(context, "SET k v"));
  redisFree(context);
  redis.Stop();
  redis.Start();
  context = redisConnectUnix(redis.socket().c_str());
  auto* reply = static_cast<redisReply*>(redisCommand(context, "EXISTS k"));
  ASSERT_NE(reply, nullptr);
  EXPECT_EQ(reply->integer, 0);
  freeReplyObject(reply);
  redisFree(context);
}

TEST(ChildProcessTest, ReportsExitCodeAndTimeout) {
  EXPECT_EQ(*ChildProcess::Run({.argv = {"/bin/sh", "-c", "exit 3"}}, absl::Seconds(10)), 3);
  auto child = ChildProcess::Start({.argv = {"/bin/cat", "/dev/zero"}, .output = "/dev/null"});
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child->Wait(absl::ZeroDuration()), std::nullopt);
  child->Signal(SIGTERM);
  EXPECT_EQ(child->Wait(absl::Seconds(10)), 128 + SIGTERM);
}

TEST(FakesTest, ClockMovesOnlyWhenToldAndIdsAreForetold) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(5));
  FakeIds ids;
  EXPECT_EQ(ids.Next(), "00000000000000000000000001");
  EXPECT_EQ(ids.Next(), "00000000000000000000000002");
}

TEST(TempDirTest, IsGoneWithItsContent) {
  std::filesystem::path path;
  {
    TempDir dir;
    path = dir.Write("a/b", "x").parent_path().parent_path();
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace floe::test
