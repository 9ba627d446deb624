// floe-billing as a process, with a database role that owns its schema and nothing else: kill -9
// while usage arrives, and its configuration.
#include <google/protobuf/util/time_util.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "base/files.h"
#include "floe/billing/v1/price_book.grpc.pb.h"
#include "floe/billing/v1/report.grpc.pb.h"
#include "floe/billing/v1/usage.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/billing/sample_book.h"
#include "tests/support/child_process.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::services::billing {
namespace {

namespace v1 = floe::billing::v1;
using google::protobuf::util::TimeUtil;
using test::ChildProcess;
using testing::HasSubstr;

constexpr int kEvents = 3000;
constexpr int kBatch = 50;

// The connection string of a role like those that `floe up` makes.
std::string OwnSchemaOnly() {
  const std::string dsn = test::Postgres::Shared().CreateDatabase();
  pqxx::connection connection(dsn);
  pqxx::nontransaction sql(connection);
  const std::string role = absl::StrCat("billing_", connection.dbname());
  sql.exec("CREATE ROLE " + role + " LOGIN");
  sql.exec("REVOKE ALL ON DATABASE " + std::string(connection.dbname()) + " FROM PUBLIC");
  sql.exec("GRANT CONNECT ON DATABASE " + std::string(connection.dbname()) + " TO " + role);
  sql.exec("REVOKE ALL ON SCHEMA public FROM PUBLIC");
  sql.exec("CREATE SCHEMA billing AUTHORIZATION " + role);
  return absl::StrReplaceAll(dsn, {{"user=postgres", "user=" + role}});
}

class BillingProcessTest : public testing::Test {
 protected:
  ChildProcess::Options Command(const std::vector<std::string>& arguments) {
    ChildProcess::Options options;
    options.argv = {FLOE_BILLING_PROGRAM, "--insecure",    "--ports-file",
                    dir_ / "ports",       "--drain-grace", "10s"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = {"FLOE_DATABASE_URL=" + database_};
    options.output = dir_ / "log";
    return options;
  }
  std::string Log() { return ReadFile(dir_ / "log").value_or(""); }
  int Run(const std::vector<std::string>& arguments) {
    const auto code = ChildProcess::Run(Command(arguments), absl::Seconds(60));
    EXPECT_TRUE(code.ok()) << code.status();
    return code.value_or(-1);
  }
  void Start() {
    std::filesystem::remove(dir_ / "ports");
    auto service = ChildProcess::Start(Command({}));
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    while (!std::filesystem::exists(dir_ / "ports")) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
    const auto ports = nlohmann::json::parse(*ReadFile(dir_ / "ports"));
    channel_ = *runtime::MakeChannel(absl::StrCat("127.0.0.1:", ports["grpc"].get<int>()), {},
                                     /*insecure=*/true);
  }

  template <typename Service, typename Method, typename Request, typename Answer>
  absl::Status Call(Method method, const Request& request, Answer& answer) {
    const auto stub = Service::NewStub(channel_);
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own("test", absl::Minutes(1)));
    return runtime::FromGrpcStatus((stub.get()->*method)(&context, request, &answer));
  }
  void PublishBook() {
    v1::CreatePriceBookRequest request;
    request.set_price_book_id("b1");
    request.mutable_price_book()->set_yaml(floe::billing::kSampleBook);
    v1::PriceBook made;
    const absl::Status status =
        Call<v1::PriceBookService>(&v1::PriceBookService::Stub::CreatePriceBook, request, made);
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status Send(int batch) {
    v1::IngestUsageRequest request;
    for (int i = 0; i < kBatch; ++i) {
      v1::UsageEvent& event = *request.add_events();
      event.set_usage_id(absl::StrCat("u", batch * kBatch + i));
      *event.mutable_time() = now_;
      event.set_team("nlp");
      event.set_operation("chat");
      event.set_model("hamlet");
      event.set_price_book("priceBooks/b1");
      event.mutable_quantities()->set_output_tokens(1);
      event.set_arrived_tokens(1);
    }
    v1::IngestUsageResponse answer;
    return Call<v1::UsageService>(&v1::UsageService::Stub::IngestUsage, request, answer);
  }

  test::TempDir dir_;
  std::string database_ = OwnSchemaOnly();
  const google::protobuf::Timestamp now_ = TimeUtil::GetCurrentTime();
  ChildProcess service_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(BillingProcessTest, KilledWhileUsageArrivesItLosesNothingAndDoublesNothing) {
  Start();
  PublishBook();
  // Somebody who journals delivers in order until nobody answers, as gateways do.
  int delivered = 0;
  std::thread gateway([&] {
    while (delivered < kEvents / kBatch && Send(delivered).ok()) ++delivered;
  });
  v1::QueryReportRequest query;
  v1::QueryReportResponse report;
  const auto ask = [&] {
    EXPECT_TRUE(Call<v1::ReportService>(&v1::ReportService::Stub::QueryReport, query, report).ok());
    return report.total().requests();
  };
  while (ask() < kEvents / 10) {
  }
  service_.Signal(SIGKILL);
  gateway.join();
  EXPECT_EQ(service_.Wait(absl::Seconds(30)), 128 + SIGKILL);

  Start();
  const int64_t survived = ask();
  EXPECT_GE(survived, delivered * kBatch);  // what was answered is there
  EXPECT_EQ(survived % kBatch, 0);          // a batch is there whole or not at all
  // The journal goes on from what was acknowledged, and overlaps to be sure.
  for (int batch = std::max(0, delivered - 3); batch < kEvents / kBatch; ++batch) {
    ASSERT_TRUE(Send(batch).ok());
  }
  EXPECT_EQ(ask(), kEvents);
  EXPECT_EQ(report.total().net().picodollars(), absl::StrCat(int64_t{kEvents} * 800'000));
  service_.Signal(SIGTERM);
  channel_.reset();
  EXPECT_EQ(service_.Wait(absl::Seconds(30)), 0) << Log();
}

TEST_F(BillingProcessTest, MigratesAndExits) { EXPECT_EQ(Run({"--migrate"}), 0) << Log(); }

TEST_F(BillingProcessTest, SaysWhatIsMissingInItsConfiguration) {
  database_.clear();
  EXPECT_EQ(Run({}), 2);
  EXPECT_THAT(Log(), HasSubstr("FLOE_DATABASE_URL"));
  database_ = "host=/nowhere";
  EXPECT_EQ(Run({"--database-connections", "0"}), 2);
  EXPECT_THAT(Log(), HasSubstr("database-connections must be 1 to 256"));
  EXPECT_EQ(Run({}), 1) << "no database there";
}

}  // namespace
}  // namespace floe::services::billing
