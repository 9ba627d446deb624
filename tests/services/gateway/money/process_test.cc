// floe-gateway as a process: killed between the moment that usage is on its disk and the moment
// that billing has it, and ended in order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "base/files.h"
#include "floe/billing/v1/usage.grpc.pb.h"
#include "floe/gateway/v1/gateway.grpc.pb.h"
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
constexpr char kStream[] =
    R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "stream": true})";
constexpr int64_t kPicos = 3 * kInputPicos + 4 * kOutputPicos + kCallPicos;

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
    options.environment = {"FLOE_DATABASE_URL=" + database_, "FLOE_BOOTSTRAP_KEY=" + admin_};
    options.output = dir_ / "log";
    return options;
  }
  void SetUp() override {
    Start();
    v1::Key consumer;
    consumer.set_role("consumer");
    const v1::CreateKeyResponse made = MakeKey("nlp", consumer);
    secret_ = made.secret();
    key_id_ = made.key().name().substr(made.key().name().rfind('/') + 1);
  }
  // At the gateway's door.
  v1::CreateKeyResponse MakeKey(const std::string& team, const v1::Key& key) {
    const auto channel =
        runtime::MakeChannel(absl::StrCat("127.0.0.1:", door_), {}, /*insecure=*/true);
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + admin_);
    v1::CreateKeyRequest request;
    request.set_parent("teams/" + team);
    *request.mutable_key() = key;
    v1::CreateKeyResponse made;
    const grpc::Status status =
        v1::KeyService::NewStub(*channel)->CreateKey(&context, request, &made);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return made;
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
    door_ = ports["grpc"].get<int>();
    side_ = ports["side"].get<int>();
    while (HttpClient(side_).Get("/readyz").status != 200) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
  }
  HttpAnswer Post(const std::string& secret, std::string_view body) {
    return HttpClient(http_).Post("/v1/completions", body, secret);
  }
  int Post() { return Post(secret_, kBody).status; }
  void Kill() {
    service_.Signal(SIGKILL);
    service_.Wait(absl::Seconds(30));
  }
  // Until the slices of the process before are given back: all that its journal knew is in billing.
  void AwaitReplayed() {
    while (billing_.Budget("large").held().picodollars() != "0") {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
  }
  // The worker's own word on its only request.
  void ReportAttempt(int64_t computed) {
    const auto request = fleet_.worker().requests().at(0);
    billing::v1::IngestAttemptsRequest attempts;
    billing::v1::Attempt& attempt = *attempts.add_attempts();
    attempt.set_attempt_id("a1");
    attempt.set_usage_id(request.usage_id());
    attempt.mutable_time()->set_seconds(absl::ToUnixSeconds(absl::Now()));
    attempt.set_prompt_tokens(request.prompt_ids_size());
    attempt.set_computed_tokens(computed);
    attempt.set_sent_tokens(computed);
    attempt.set_outcome(billing::v1::Attempt::CANCELLED);
    billing::v1::IngestAttemptsResponse answer;
    const absl::Status sent = billing_.Call<billing::v1::UsageService>(
        &billing::v1::UsageService::Stub::IngestAttempts, attempts, answer);
    ASSERT_TRUE(sent.ok()) << sent;
  }
  void AwaitRequests(int64_t count) {
    while (billing_.Total().requests() < count) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
  }

  test::TempDir dir_;
  const std::string admin_ = NewSecret();
  std::string secret_;  // of a consumer of team nlp, tenant default
  std::string key_id_;
  const std::string database_ = test::Postgres::Shared().CreateDatabase();
  BillingProcess billing_;
  FakeFleet fleet_;
  test::ChildProcess service_;
  int http_ = 0;
  int door_ = 0;
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
  Kill();

  billing_.Start();
  // The dead gateway's slice is held for what its journal may still bring.
  EXPECT_EQ(billing_.Budget("large").held().picodollars(), absl::StrCat(99 * kPicos));
  Start();
  AwaitRequests(31);
  EXPECT_EQ(billing_.Total().charge().picodollars(), absl::StrCat(31 * kPicos));
  EXPECT_EQ(billing_.Budget("large").spent().picodollars(), absl::StrCat(31 * kPicos));
  AwaitReplayed();
}

TEST_F(GatewayProcessTest, KilledInMidStreamItSaysAtItsRestartWhatItHadBegun) {
  billing_.CreateBudget("large", 1000 * kPicos);
  fleet_.worker().Behave(FakeWorker::HangAfter("x"));
  {
    HttpClient client(http_);
    ASSERT_TRUE(client.Write(PostText("/v1/completions", kStream, secret_)));
    ASSERT_THAT(client.ReadUntil("\"x\""), HasSubstr("\"x\""));
    Kill();
  }
  ReportAttempt(1);
  const auto open = billing_.Verify();
  ASSERT_EQ(open.unexplained(), 1);
  EXPECT_THAT(open.differences(0).what(), HasSubstr("no gateway's journal"));
  for (int i = 0; i < 2; ++i) {
    Start();
    AwaitRequests(1);
    AwaitReplayed();
    const auto usage = billing_.Explain(fleet_.worker().requests().at(0).usage_id());
    EXPECT_EQ(usage.event().outcome(), billing::v1::UsageEvent::FAILED);
    EXPECT_EQ(usage.event().team(), "nlp");
    EXPECT_EQ(usage.event().key(), key_id_);
    EXPECT_EQ(usage.charge().picodollars(), "0");
    const auto verified = billing_.Verify();
    EXPECT_TRUE(verified.clean()) << verified.DebugString();
    EXPECT_EQ(verified.requests(), 1);
    EXPECT_EQ(verified.undelivered_tokens(), 1);
    Kill();  // again, with nothing under way
  }
}

// Killed while it answers: who got an answer is charged for it, and nobody for what was never sent.
TEST_F(GatewayProcessTest, KilledUnderTrafficItHasChargedEveryAnswerThatItGave) {
  billing_.CreateBudget("large", 1'000'000 * kPicos);
  std::atomic<int64_t> sent = 0, answered = 0;
  std::vector<std::thread> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      HttpClient client(http_);
      do {
        ++sent;
        if (client.Post("/v1/completions", kBody, secret_).status != 200) return;
      } while (++answered > 0);
    });
  }
  while (answered < 200) {
    ASSERT_FALSE(service_.Wait(absl::Milliseconds(5)).has_value()) << Log();
  }
  Kill();
  for (std::thread& client : clients) client.join();
  Start();
  AwaitReplayed();
  int64_t charge = 0;
  ASSERT_TRUE(absl::SimpleAtoi(billing_.Total().charge().picodollars(), &charge));
  EXPECT_EQ(charge % kPicos, 0);
  EXPECT_LE(answered, charge / kPicos);
  EXPECT_LE(charge / kPicos, sent);
  EXPECT_LE(billing_.Total().requests(), sent) << "those that had only begun among them";
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

TEST_F(GatewayProcessTest, ATenantsBudgetBindsItsTeamsAndNoOthers) {
  fleet_.registry().ShareWith("web");
  fleet_.registry().ShareWith("ops");
  v1::Key of_acme;
  of_acme.set_role("consumer");
  of_acme.set_tenant("acme");
  const std::string web = MakeKey("web", of_acme).secret();
  const std::string ops = MakeKey("ops", of_acme).secret();
  billing::v1::Subject acme;
  acme.set_tenant("acme");
  billing_.CreateBudget("acme", 2 * kPicos, acme);
  EXPECT_EQ(Post(web, kBody).status, 200) << Log();
  EXPECT_EQ(Post(ops, kBody).status, 200) << Log();
  for (const std::string& secret : {web, ops}) {
    const HttpAnswer refused = Post(secret, kBody);
    EXPECT_EQ(refused.status, 402);
    EXPECT_THAT(refused.body, HasSubstr("budget_exceeded"));
  }
  EXPECT_EQ(Post(), 200) << "team nlp is not of acme";
  AwaitRequests(3);
  EXPECT_EQ(billing_.Budget("acme").spent().picodollars(), absl::StrCat(2 * kPicos));
  billing::v1::QueryReportRequest by_tenant;
  by_tenant.add_group_by("tenant");
  billing::v1::QueryReportResponse report;
  ASSERT_TRUE(billing_
                  .Call<billing::v1::ReportService>(&billing::v1::ReportService::Stub::QueryReport,
                                                    by_tenant, report)
                  .ok());
  std::map<std::string, int64_t> requests;
  for (const auto& row : report.rows()) requests[row.group(0)] = row.requests();
  EXPECT_THAT(requests,
              testing::ElementsAre(testing::Pair("acme", 2), testing::Pair("default", 1)));
}

TEST_F(GatewayProcessTest, AKeyDoesWhatItWasMadeForUntilItExpires) {
  v1::Key limited;
  limited.set_role("consumer");
  limited.add_models("ham*");
  limited.add_tiers("default");
  limited.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(absl::Now() + absl::Hours(1)));
  const std::string secret = MakeKey("nlp", limited).secret();
  EXPECT_EQ(Post(secret, kBody).status, 200) << Log();
  HttpAnswer refused = Post(secret, R"({"model": "othello", "prompt": "abc"})");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("model_not_allowed"));
  refused = Post(secret, R"({"model": "hamlet", "prompt": "abc", "service_tier": "flex"})");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("tier_not_allowed"));
  EXPECT_THAT(refused.body, HasSubstr("this API key"));
  {
    pqxx::connection connection(database_);
    pqxx::work sql(connection);
    sql.exec("UPDATE gateway.keys SET expire_time = now() WHERE expire_time IS NOT NULL");
    sql.commit();
  }
  // What the gateway remembers of the key is a moment old at most.
  while (HttpClient(http_).Get("/v1/models", secret).status == 200) {
    ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
  }
  const HttpAnswer expired = Post(secret, kBody);
  EXPECT_EQ(expired.status, 401);
  EXPECT_THAT(expired.body, HasSubstr("\"key_expired\""));
  EXPECT_EQ(Post(), 200) << "other keys go on";
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
