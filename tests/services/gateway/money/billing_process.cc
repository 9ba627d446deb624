#include "tests/services/gateway/money/billing_process.h"

#include <google/protobuf/util/time_util.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "floe/billing/v1/price_book.grpc.pb.h"
#include "tests/billing/sample_book.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;

void Check(const absl::Status& status, const std::string& log) {
  if (status.ok()) return;
  std::cerr << status << "\n" << log << std::endl;
  std::abort();
}

}  // namespace

BillingProcess::BillingProcess() : database_(test::Postgres::Shared().CreateDatabase()) {
  Start();
  PublishBook("b1", billing::kSampleBook);
}

std::string BillingProcess::Log() const { return ReadFile(dir_ / "log").value_or(""); }

void BillingProcess::Start() {
  std::filesystem::remove(dir_ / "ports");
  test::ChildProcess::Options options;
  options.argv = {FLOE_BILLING_PROGRAM, "--insecure",
                  "--listen",           absl::StrCat("127.0.0.1:", port_),
                  "--ports-file",       dir_ / "ports"};
  options.environment = {"FLOE_DATABASE_URL=" + database_};
  options.output = dir_ / "log";
  auto service = test::ChildProcess::Start(options);
  Check(service.status(), Log());
  service_ = *std::move(service);
  while (!std::filesystem::exists(dir_ / "ports")) {
    if (service_.Wait(absl::Milliseconds(20))) Check(absl::InternalError("it ended"), Log());
  }
  port_ = nlohmann::json::parse(*ReadFile(dir_ / "ports"))["grpc"].get<int>();
  if (channel_ == nullptr) {
    channel_ = *runtime::MakeChannel(absl::StrCat("127.0.0.1:", port_), {}, /*insecure=*/true);
  }
}

void BillingProcess::Kill() {
  service_.Signal(SIGKILL);
  service_.Wait(absl::Seconds(30));
}

void BillingProcess::PublishBook(const std::string& id, const std::string& yaml) {
  pb::CreatePriceBookRequest request;
  request.set_price_book_id(id);
  request.mutable_price_book()->set_yaml(yaml);
  pb::PriceBook made;
  Check(Call<pb::PriceBookService>(&pb::PriceBookService::Stub::CreatePriceBook, request, made),
        Log());
}

void BillingProcess::CreateBudget(const std::string& id, int64_t limit_picos) {
  pb::Subject team;
  team.set_team("nlp");
  CreateBudget(id, limit_picos, team);
}

void BillingProcess::CreateBudget(const std::string& id, int64_t limit_picos,
                                  const pb::Subject& subject) {
  pb::CreateBudgetRequest request;
  request.set_budget_id(id);
  *request.mutable_budget()->mutable_subject() = subject;
  request.mutable_budget()->set_period(pb::Budget::TOTAL);
  request.mutable_budget()->mutable_limit()->set_picodollars(absl::StrCat(limit_picos));
  pb::Budget made;
  Check(Call<pb::BudgetService>(&pb::BudgetService::Stub::CreateBudget, request, made), Log());
}

void BillingProcess::SetLimit(const std::string& id, int64_t limit_picos) {
  pb::UpdateBudgetRequest request;
  request.mutable_budget()->set_name("budgets/" + id);
  request.mutable_budget()->mutable_limit()->set_picodollars(absl::StrCat(limit_picos));
  request.mutable_update_mask()->add_paths("limit");
  pb::Budget changed;
  Check(Call<pb::BudgetService>(&pb::BudgetService::Stub::UpdateBudget, request, changed), Log());
}

pb::Budget BillingProcess::Budget(const std::string& id) {
  pb::GetBudgetRequest request;
  request.set_name("budgets/" + id);
  pb::Budget budget;
  Check(Call<pb::BudgetService>(&pb::BudgetService::Stub::GetBudget, request, budget), Log());
  return budget;
}

pb::ReportRow BillingProcess::Total() {
  pb::QueryReportResponse report;
  Check(Call<pb::ReportService>(&pb::ReportService::Stub::QueryReport, pb::QueryReportRequest(),
                                report),
        Log());
  return report.total();
}

pb::VerifyUsageResponse BillingProcess::Verify() {
  pb::VerifyUsageRequest request;
  *request.mutable_interval()->mutable_end() =
      google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(absl::Now()));
  pb::VerifyUsageResponse report;
  Check(Call<pb::ReportService>(&pb::ReportService::Stub::VerifyUsage, request, report), Log());
  return report;
}

pb::ExplainUsageResponse BillingProcess::Explain(const std::string& usage_id) {
  pb::ExplainUsageRequest request;
  request.set_usage_id(usage_id);
  pb::ExplainUsageResponse usage;
  Check(Call<pb::ReportService>(&pb::ReportService::Stub::ExplainUsage, request, usage), Log());
  return usage;
}

}  // namespace floe::gateway
