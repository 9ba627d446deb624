// floe-gateway as a process: killed between the moment that usage is on its disk and the moment
// that billing has it, and ended in order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "base/files.h"
#include "gateway/auth/secret.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/money/billing_process.h"
#include "tests/support/child_process.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;

constexpr char kBody[] = R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4})";
constexpr int64_t kPicos = 3 * kInputPicos + 4 * kOutputPicos + kCallPicos;
constexpr char kInsertKey[] =
    "INSERT INTO gateway.keys (key_id, team, display_name, role, prefix, secret_sha256, "
    "create_time)"
    " VALUES ('key-1', 'nlp', 'test', 'consumer', $1, $2, now())";

class GatewayProcessTest : public testing::Test {
 protected:
  test::ChildProcess::Options Command(std::vector<std::string> more) {
    test::ChildProcess::Options options;
    options.argv = {FLOE_GATEWAY_PROGRAM, "--insecure",
                    "--registry",         absl::StrCat("127.0.0.1:", fleet_.registry_port()),
                    "--workers",          absl::StrCat("127.0.0.1:", fleet_.worker_port()),
                    "--billing",          absl::StrCat("127.0.0.1:", billing_.port()),
                    "--journal-dir",      dir_ / "journal",
                    "--ports-file",       dir_ / "ports",
                    "--drain-grace",      "20s"};
    for (std::string& word : more) options.argv.push_back(std::move(word));
    options.environment = {"FLOE_DATABASE_URL=" + database_};
    options.output = dir_ / "log";
    return options;
  }
  void SetUp() override {
    const auto migrated = test::ChildProcess::Run(Command({"--migrate"}), absl::Seconds(60));
    ASSERT_EQ(migrated.value_or(-1), 0) << Log();
    pqxx::connection connection(database_);
    pqxx::work sql(connection);
    sql.exec_params(kInsertKey, SecretPrefix(secret_), *HashSecret(secret_));
    sql.commit();
    Start();
  }
  std::string Log() { return ReadFile(dir_ / "log").value_or(""); }
  void Start() {
    std::filesystem::remove(dir_ / "ports");
    auto service = test::ChildProcess::Start(Command({}));
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    while (!std::filesystem::exists(dir_ / "ports")) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
    const auto ports = nlohmann::json::parse(*ReadFile(dir_ / "ports"));
    http_ = ports["http"].get<int>();
    side_ = ports["side"].get<int>();
    while (HttpClient(side_).Get("/readyz").status != 200) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
  }
  int Post() { return HttpClient(http_).Post("/v1/completions", kBody, secret_).status; }
  void AwaitRequests(int64_t count) {
    while (billing_.Total().requests() < count) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
  }

  test::TempDir dir_;
  const std::string secret_ = NewSecret();
  const std::string database_ = test::Postgres::Shared().CreateDatabase();
  BillingProcess billing_;
  FakeFleet fleet_;
  test::ChildProcess service_;
  int http_ = 0;
  int side_ = 0;
};

TEST_F(GatewayProcessTest, KilledBeforeDeliveryItLosesNothingAndItsSliceComesBack) {
  billing_.CreateBudget("large", 1000 * kPicos);
  ASSERT_EQ(Post(), 200) << Log();
  AwaitRequests(1);
  billing_.Kill();
  for (int i = 0; i < 30; ++i) ASSERT_EQ(Post(), 200) << Log();  // answered: so they are on disk
  while (HttpClient(side_).Get("/metrics").body.find("floe_gateway_usage_pending_records 30") ==
         std::string::npos) {
    ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
  }
  service_.Signal(SIGKILL);
  service_.Wait(absl::Seconds(30));

  billing_.Start();
  // The dead gateway's slice is held for what its journal may still bring.
  EXPECT_EQ(billing_.Budget("large").held().picodollars(), absl::StrCat(99 * kPicos));
  Start();
  AwaitRequests(31);
  EXPECT_EQ(billing_.Total().charge().picodollars(), absl::StrCat(31 * kPicos));
  EXPECT_EQ(billing_.Budget("large").spent().picodollars(), absl::StrCat(31 * kPicos));
  while (billing_.Budget("large").held().picodollars() != "0") {
    ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
  }
}

TEST_F(GatewayProcessTest, EndedInOrderItDeliversAndGivesItsSlicesBack) {
  billing_.CreateBudget("large", 1000 * kPicos);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(Post(), 200) << Log();
  service_.Signal(SIGTERM);
  EXPECT_EQ(service_.Wait(absl::Seconds(30)), 0) << Log();
  EXPECT_EQ(billing_.Total().requests(), 5);
  EXPECT_EQ(billing_.Budget("large").spent().picodollars(), absl::StrCat(5 * kPicos));
  EXPECT_EQ(billing_.Budget("large").held().picodollars(), "0");
}

TEST_F(GatewayProcessTest, BillingWithoutAJournalIsRefusedAtStart) {
  test::ChildProcess::Options options = Command({});
  const auto journal = std::find(options.argv.begin(), options.argv.end(), "--journal-dir");
  options.argv.erase(journal, journal + 2);
  EXPECT_EQ(*test::ChildProcess::Run(options, absl::Seconds(30)), 2);
  EXPECT_THAT(Log(), HasSubstr("--journal-dir"));
}

}  // namespace
}  // namespace floe::gateway
