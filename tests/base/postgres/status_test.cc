#include "base/postgres/status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/postgres/pool.h"
#include "tests/support/postgres.h"

namespace floe::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PostgresStatusTest : public testing::Test {
 protected:
  void SetUp() override {
    Pool::Options options;
    options.dsn = test::Postgres::Shared().CreateDatabase();
    pool_ = std::move(*Pool::Create(options));
    ASSERT_TRUE(Exec("CREATE TABLE parent (id int PRIMARY KEY, "
                     "name text NOT NULL CHECK (length(name) < 20));"
                     "CREATE TABLE child (parent int REFERENCES parent);"
                     "INSERT INTO parent VALUES (1, 'first')")
                    .ok());
  }
  absl::Status Exec(const std::string& statement) {
    return pool_->Run([&](pqxx::transaction_base& sql) {
      sql.exec(statement);
      return absl::OkStatus();
    });
  }
  void ExpectCode(const std::string& statement, absl::StatusCode code, const char* reason) {
    const absl::Status status = Exec(statement);
    EXPECT_EQ(status.code(), code) << statement << ": " << status;
    ASSERT_TRUE(ReasonOf(status).has_value()) << status;
    EXPECT_EQ(ReasonOf(status)->reason, reason);
  }

  std::unique_ptr<Pool> pool_;
};

TEST_F(PostgresStatusTest, EachKindOfErrorHasItsCode) {
  using absl::StatusCode;
  ExpectCode("INSERT INTO parent VALUES (1, 'again')", StatusCode::kAlreadyExists,
             "POSTGRES_UNIQUE_VIOLATION");
  ExpectCode("INSERT INTO child VALUES (7)", StatusCode::kFailedPrecondition,
             "POSTGRES_CONSTRAINT_VIOLATION");
  ExpectCode("INSERT INTO parent VALUES (2, NULL)", StatusCode::kFailedPrecondition,
             "POSTGRES_CONSTRAINT_VIOLATION");
  ExpectCode("INSERT INTO parent VALUES (2, repeat('x', 30))", StatusCode::kFailedPrecondition,
             "POSTGRES_CONSTRAINT_VIOLATION");
  ExpectCode("SELECT 'x'::int", StatusCode::kInvalidArgument, "POSTGRES_DATA");
  ExpectCode("SELECT 1 / 0", StatusCode::kInvalidArgument, "POSTGRES_DATA");
  ExpectCode("SELEC 1", StatusCode::kInternal, "POSTGRES_ERROR");
}

TEST_F(PostgresStatusTest, NamesTheConstraintAndNotTheValues) {
  const absl::Status status = Exec("INSERT INTO parent VALUES (1, 'secret value')");
  EXPECT_THAT(std::string(status.message()), HasSubstr("parent_pkey"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("INSERT")));
}

}  // namespace
}  // namespace floe::postgres
