// floe-billing over real gRPC and a real Postgres.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "billing/postgres/budget_store.h"
#include "billing/postgres/invoice_store.h"
#include "billing/postgres/migrations_sql.h"
#include "billing/postgres/price_book_store.h"
#include "billing/postgres/report_store.h"
#include "billing/postgres/slice_store.h"
#include "billing/postgres/training_cost_store.h"
#include "billing/postgres/usage_store.h"
#include "services/billing/budget_rpc.h"
#include "services/billing/convert.h"
#include "services/billing/price_book_rpc.h"
#include "services/billing/report_rpc.h"
#include "services/billing/usage_rpc.h"
#include "services/runtime/status.h"
#include "tests/billing/sample_book.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"

namespace floe::services::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Who calls; a service has no team.
struct Caller {
  std::string team;
  std::string role;
};
const Caller kService{};
const Caller kOperator{"default", "admin"};
const Caller kAdmin{"nlp", "admin"};
const Caller kViewer{"nlp", "viewer"};
const Caller kStranger{"law", "admin"};

class BillingServiceTest : public testing::Test {
 protected:
  BillingServiceTest() {
    EXPECT_TRUE(postgres::Migrate(*pool_, "billing", domain::Migrations()).ok());
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    for (grpc::Service* service :
         std::initializer_list<grpc::Service*>{&usage_, &books_, &quotes_, &budgets_, &reports_}) {
      builder.RegisterService(service);
    }
    server_ = builder.BuildAndStart();
    const auto channel =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
    usage = v1::UsageService::NewStub(channel);
    books = v1::PriceBookService::NewStub(channel);
    quotes = v1::QuoteService::NewStub(channel);
    budgets = v1::BudgetService::NewStub(channel);
    reports = v1::ReportService::NewStub(channel);
  }

  template <typename Stub, typename Method, typename Request, typename Answer>
  absl::Status Call(const std::unique_ptr<Stub>& stub, Method method, const Caller& caller,
                    const Request& request, Answer& answer) {
    grpc::ClientContext context;
    if (!caller.team.empty()) context.AddMetadata(runtime::kTeamKey, caller.team);
    if (!caller.role.empty()) context.AddMetadata(runtime::kRoleKey, caller.role);
    context.AddMetadata(runtime::kKeyIdKey, "k1");
    return runtime::FromGrpcStatus((stub.get()->*method)(&context, request, &answer));
  }

  absl::Status Publish(const Caller& caller, const std::string& yaml = domain::kSampleBook) {
    v1::CreatePriceBookRequest request;
    request.set_price_book_id("b1");
    request.mutable_price_book()->set_yaml(yaml);
    *request.mutable_price_book()->mutable_effective_time() =
        ToProto(clock_.Now() - absl::Hours(1));
    v1::PriceBook made;
    return Call(books, &v1::PriceBookService::Stub::CreatePriceBook, caller, request, made);
  }

  v1::UsageEvent Event(const std::string& id) {
    v1::UsageEvent event;
    event.set_usage_id(id);
    *event.mutable_time() = ToProto(clock_.Now() - absl::Minutes(1));
    event.set_team("nlp");
    event.set_key("k1");
    event.set_operation("chat");
    event.set_model("hamlet");
    event.set_model_version("7");
    event.set_service_tier("priority");
    event.set_served_tier("default");
    event.set_price_book("priceBooks/b1");
    event.mutable_quantities()->set_input_tokens(100);
    event.mutable_quantities()->set_output_tokens(10);
    event.set_arrived_tokens(10);
    event.set_workflow_id("w1");
    return event;
  }

  v1::IngestUsageResponse Ingest(const std::vector<v1::UsageEvent>& events) {
    v1::IngestUsageRequest request;
    request.mutable_events()->Add(events.begin(), events.end());
    v1::IngestUsageResponse answer;
    const absl::Status status =
        Call(usage, &v1::UsageService::Stub::IngestUsage, kService, request, answer);
    EXPECT_TRUE(status.ok()) << status;
    return answer;
  }

  test::FakeClock clock_{absl::FromUnixSeconds(1'769'000'000)};  // 21 January 2026
  test::FakeIds ids_;
  runtime::Logger logger_{"billing", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "billing.floe"}};
  std::unique_ptr<postgres::Pool> pool_ =
      *postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  domain::PostgresPriceBookStore book_store_{*pool_};
  domain::PostgresUsageStore usage_store_{*pool_};
  domain::PostgresBudgetStore budget_store_{*pool_, clock_, ids_};
  domain::PostgresSliceStore slice_store_{*pool_, clock_, ids_};
  domain::PostgresReportStore report_store_{*pool_};
  domain::PostgresInvoiceStore invoice_store_{*pool_};
  domain::PostgresTrainingCostStore training_store_{*pool_};
  domain::PriceBooks price_books_{book_store_, clock_};
  domain::IngestUsage ingest_{price_books_, usage_store_};
  UsageRpc usage_{calls_, metrics_, ingest_, usage_store_};
  PriceBookRpc books_{{calls_, clock_, price_books_, book_store_, ingest_}};
  QuoteRpc quotes_{calls_, clock_, price_books_};
  BudgetRpc budgets_{{calls_, clock_, budget_store_, slice_store_}};
  ReportRpc reports_{
      {calls_, clock_, ids_, price_books_, report_store_, invoice_store_, training_store_}};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::UsageService::Stub> usage;
  std::unique_ptr<v1::PriceBookService::Stub> books;
  std::unique_ptr<v1::QuoteService::Stub> quotes;
  std::unique_ptr<v1::BudgetService::Stub> budgets;
  std::unique_ptr<v1::ReportService::Stub> reports;
};

TEST_F(BillingServiceTest, AUsageEventIsChargedExplainedAndReported) {
  ASSERT_TRUE(Publish(kOperator).ok());
  const auto first = Ingest({Event("u1")});
  EXPECT_EQ(first.results(0).state(), v1::IngestUsageResponse::Result::ACCEPTED);
  EXPECT_EQ(first.results(0).charge().picodollars(), "56000000");
  EXPECT_EQ(first.results(0).credit().picodollars(), "28000000");
  EXPECT_EQ(Ingest({Event("u1")}).results(0).state(), v1::IngestUsageResponse::Result::DUPLICATE);

  v1::ExplainUsageRequest explain;
  explain.set_usage_id("u1");
  v1::ExplainUsageResponse explained;
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::ExplainUsage, kViewer, explain, explained).ok());
  EXPECT_THAT(
      explained.arithmetic(),
      ElementsAre("price book b1, tier priority", "100 input tokens × $0.0000004 = $0.00004",
                  "10 output tokens × $0.0000016 = $0.000016", "charge $0.000056",
                  "tier default was kept: credit $0.000028, net $0.000028"));
  EXPECT_EQ(explained.entries_size(), 4);
  EXPECT_EQ(explained.event().price_book(), "priceBooks/b1");

  v1::QueryReportRequest query;
  query.add_group_by("tier");
  query.set_csv(true);
  v1::QueryReportResponse report;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::QueryReport, kViewer, query, report).ok());
  ASSERT_EQ(report.rows_size(), 1);
  EXPECT_EQ(report.rows(0).group(0), "priority");
  EXPECT_EQ(report.total().net().picodollars(), "28000000");
  EXPECT_THAT(report.csv(), HasSubstr("priority,1,0,100,0,10,0,0.000056,0.000028,0.000028\r\n"));
  EXPECT_THAT(metrics_.Exposition(),
              HasSubstr("floe_billing_usage_events_total{state=\"ACCEPTED\"} 1"));
}

TEST_F(BillingServiceTest, ATeamSeesOnlyItsOwn) {
  ASSERT_TRUE(Publish(kOperator).ok());
  Ingest({Event("u1")});
  v1::ExplainUsageRequest explain;
  explain.set_usage_id("u1");
  v1::ExplainUsageResponse explained;
  EXPECT_EQ(
      Call(reports, &v1::ReportService::Stub::ExplainUsage, kStranger, explain, explained).code(),
      absl::StatusCode::kNotFound);
  v1::QueryReportRequest query;
  v1::QueryReportResponse report;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::QueryReport, kStranger, query, report).ok());
  EXPECT_EQ(report.total().requests(), 0);
  (*query.mutable_filter())["team"] = "nlp";
  EXPECT_EQ(Call(reports, &v1::ReportService::Stub::QueryReport, kStranger, query, report).code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::QueryReport, kOperator, query, report).ok());
  EXPECT_EQ(report.total().requests(), 1);
  v1::GetInvoiceRequest invoice;
  invoice.set_name("teams/nlp/invoices/2026-01");
  v1::Invoice answer;
  EXPECT_EQ(Call(reports, &v1::ReportService::Stub::GetInvoice, kStranger, invoice, answer).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(BillingServiceTest, OnlyServicesSendUsageAndOnlyOperatorsPublishBooks) {
  v1::IngestUsageRequest events;
  v1::IngestUsageResponse answer;
  EXPECT_EQ(Call(usage, &v1::UsageService::Stub::IngestUsage, kOperator, events, answer).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Publish(kAdmin).code(), absl::StatusCode::kPermissionDenied);
  v1::AcquireSliceRequest acquire;
  v1::Slice slice;
  EXPECT_EQ(Call(budgets, &v1::BudgetService::Stub::AcquireSlice, kAdmin, acquire, slice).code(),
            absl::StatusCode::kPermissionDenied);
  v1::WriteOffSliceRequest write_off;
  EXPECT_EQ(Call(budgets, &v1::BudgetService::Stub::WriteOffSlice, kAdmin, write_off, slice).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(BillingServiceTest, ABookThatIsNotExactIsRefusedWithItsLine) {
  const absl::Status refused =
      Publish(kOperator, "models:\n  m:\n    default: {input: 0.0000005}\n");
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("line 3"));
}

TEST_F(BillingServiceTest, PublishingTheMissingBookChargesWhatWaited) {
  EXPECT_EQ(Ingest({Event("u1")}).results(0).state(), v1::IngestUsageResponse::Result::PARKED);
  v1::VerifyUsageRequest verify;
  v1::VerifyUsageResponse verified;
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::VerifyUsage, kOperator, verify, verified).ok());
  EXPECT_FALSE(verified.clean());
  ASSERT_EQ(verified.differences_size(), 1);
  EXPECT_THAT(verified.differences(0).what(), HasSubstr("not charged yet"));
  ASSERT_TRUE(Publish(kOperator).ok());
  EXPECT_EQ(Ingest({Event("u1")}).results(0).state(), v1::IngestUsageResponse::Result::DUPLICATE);

  v1::IngestAttemptsRequest attempts;
  v1::Attempt& attempt = *attempts.add_attempts();
  attempt.set_attempt_id("a1");
  attempt.set_usage_id("u1");
  *attempt.mutable_time() = ToProto(clock_.Now());
  attempt.set_prompt_tokens(100);
  attempt.set_computed_tokens(10);
  attempt.set_sent_tokens(10);
  attempt.set_outcome(v1::Attempt::FINISHED);
  v1::IngestAttemptsResponse accepted;
  ASSERT_TRUE(
      Call(usage, &v1::UsageService::Stub::IngestAttempts, kService, attempts, accepted).ok());
  EXPECT_EQ(accepted.accepted(), 1);
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::VerifyUsage, kOperator, verify, verified).ok());
  EXPECT_TRUE(verified.clean()) << verified.ShortDebugString();
}

TEST_F(BillingServiceTest, QuotesAreTheWorstCaseOfTheSameArithmetic) {
  ASSERT_TRUE(Publish(kOperator).ok());
  v1::QuoteRequest request;
  request.set_operation("chat");
  request.set_model("hamlet");
  request.set_service_tier("default");
  request.set_input_tokens(100);
  request.set_max_output_tokens(10);
  v1::QuoteResponse quote;
  ASSERT_TRUE(Call(quotes, &v1::QuoteService::Stub::Quote, kViewer, request, quote).ok());
  EXPECT_EQ(quote.amount().picodollars(), "128000000");
  EXPECT_EQ(quote.price_book(), "priceBooks/b1");
  request.set_model("macbeth");
  const absl::Status refused =
      Call(quotes, &v1::QuoteService::Stub::Quote, kViewer, request, quote);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused)->reason, "NO_PRICE");
}

TEST_F(BillingServiceTest, BudgetsAreMadeByAdminsAndLeasedByGateways) {
  v1::CreateBudgetRequest create;
  create.set_budget_id("daily");
  create.mutable_budget()->mutable_subject()->set_team("nlp");
  create.mutable_budget()->set_period(v1::Budget::DAY);
  create.mutable_budget()->mutable_limit()->set_picodollars("1000");
  v1::Budget budget;
  const auto make = [&](const Caller& caller) {
    return Call(budgets, &v1::BudgetService::Stub::CreateBudget, caller, create, budget);
  };
  EXPECT_EQ(make(kViewer).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(make(kStranger).code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(make(kAdmin).ok());
  EXPECT_EQ(budget.name(), "budgets/daily");

  v1::ListApplicableBudgetsRequest who;
  who.set_team("nlp");
  v1::ListApplicableBudgetsResponse bound;
  ASSERT_TRUE(
      Call(budgets, &v1::BudgetService::Stub::ListApplicableBudgets, kService, who, bound).ok());
  ASSERT_EQ(bound.budgets_size(), 1);

  v1::AcquireSliceRequest acquire;
  acquire.set_budget("budgets/daily");
  acquire.set_gateway("g1");
  acquire.mutable_amount()->set_picodollars("700");
  v1::Slice slice;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::AcquireSlice, kService, acquire, slice).ok());
  EXPECT_EQ(slice.state(), v1::Slice::OPEN);
  const absl::Status full =
      Call(budgets, &v1::BudgetService::Stub::AcquireSlice, kService, acquire, slice);
  EXPECT_EQ(ReasonOf(full)->reason, "BUDGET_EXHAUSTED");

  clock_.Advance(absl::Minutes(2));
  v1::ListSlicesRequest list;
  list.set_parent("budgets/daily");
  v1::ListSlicesResponse slices;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::ListSlices, kAdmin, list, slices).ok());
  EXPECT_EQ(slices.slices(0).state(), v1::Slice::EXPIRED);
  EXPECT_EQ(slices.slices(0).held().picodollars(), "700");
  v1::ReturnSliceRequest give_back;
  give_back.set_name(slices.slices(0).name());
  ASSERT_TRUE(
      Call(budgets, &v1::BudgetService::Stub::ReturnSlice, kService, give_back, slice).ok());
  EXPECT_EQ(slice.state(), v1::Slice::SETTLED);
}

TEST_F(BillingServiceTest, ABudgetUpdateTouchesWhatItsMaskNames) {
  v1::CreateBudgetRequest create;
  create.set_budget_id("b");
  create.mutable_budget()->set_display_name("kept");
  create.mutable_budget()->mutable_subject()->set_key("teams/nlp/keys/k1");
  create.mutable_budget()->set_period(v1::Budget::TOTAL);
  create.mutable_budget()->mutable_limit()->set_picodollars("5");
  v1::Budget budget;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::CreateBudget, kAdmin, create, budget).ok());
  v1::UpdateBudgetRequest update;
  update.mutable_budget()->set_name("budgets/b");
  update.mutable_budget()->mutable_limit()->set_picodollars("9");
  update.mutable_update_mask()->add_paths("limit");
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).ok());
  EXPECT_EQ(budget.limit().picodollars(), "9");
  EXPECT_EQ(budget.display_name(), "kept");
  update.mutable_update_mask()->add_paths("subject");
  EXPECT_THAT(
      std::string(
          Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).message()),
      HasSubstr("\"subject\""));
  update.mutable_update_mask()->clear_paths();
  update.mutable_budget()->mutable_limit()->set_picodollars("-1");
  EXPECT_EQ(Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(BillingServiceTest, WorkflowTreeInvoiceFocusPlanAndTrainingCostAnswer) {
  ASSERT_TRUE(Publish(kOperator).ok());
  Ingest({Event("u1")});
  v1::GetWorkflowTreeRequest tree;
  tree.set_name("teams/nlp/workflows/w1");
  v1::WorkflowTree steps;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::GetWorkflowTree, kViewer, tree, steps).ok());
  EXPECT_EQ(steps.net().picodollars(), "28000000");

  v1::GetInvoiceRequest get;
  get.set_name(absl::StrCat(
      "teams/nlp/invoices/",
      absl::FormatTime("%Y-%m", clock_.Now() - absl::Minutes(1), absl::UTCTimeZone())));
  get.set_html(true);
  get.set_csv(true);
  v1::Invoice invoice;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::GetInvoice, kViewer, get, invoice).ok());
  EXPECT_EQ(invoice.state(), v1::Invoice::DRAFT);
  EXPECT_EQ(invoice.exact_total().picodollars(), "28000000");
  EXPECT_THAT(invoice.html(), HasSubstr("<!doctype html>"));
  EXPECT_THAT(invoice.csv(), HasSubstr("total,"));

  grpc::ClientContext context;
  context.AddMetadata(runtime::kTeamKey, "nlp");
  v1::ExportFocusRequest focus;
  focus.set_month(get.name().substr(get.name().size() - 7));
  const auto stream = reports->ExportFocus(&context, focus);
  v1::ExportFocusResponse piece;
  std::string csv;
  while (stream->Read(&piece)) csv += piece.csv();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);  // header, input, output, credit

  v1::PlanRequest plan;
  auto& workload = *plan.add_workloads();
  workload.set_model("hamlet");
  workload.set_requests_per_day(10);
  workload.set_input_tokens(100);
  v1::PlanResponse planned;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::Plan, kViewer, plan, planned).ok());
  EXPECT_EQ(planned.per_day().picodollars(), "1200000000");

  v1::CreateTrainingCostRequest cost;
  cost.mutable_training_cost()->set_model("hamlet");
  cost.mutable_training_cost()->set_model_version("7");
  cost.mutable_training_cost()->mutable_amount()->set_picodollars("1000");
  cost.mutable_training_cost()->set_amortization_days(10);
  v1::TrainingCost made;
  ASSERT_TRUE(Call(reports, &v1::ReportService::Stub::CreateTrainingCost, kAdmin, cost, made).ok());
  v1::QueryTrainingCostRequest query;
  v1::QueryTrainingCostResponse rows;
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::QueryTrainingCost, kViewer, query, rows).ok());
  ASSERT_EQ(rows.rows_size(), 1);
  // The credit for the missed tier comes out of what would have paid the training back.
  EXPECT_EQ(rows.rows(0).contribution().picodollars(), "-16800000");
  EXPECT_FALSE(rows.rows(0).break_even_reached());
}

TEST_F(BillingServiceTest, BadRequestsAreNamed) {
  v1::IngestUsageRequest events;
  *events.add_events() = Event("u1");
  events.mutable_events(0)->set_operation("poetry");
  v1::IngestUsageResponse answer;
  const absl::Status refused =
      Call(usage, &v1::UsageService::Stub::IngestUsage, kService, events, answer);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("events[0]: operation is \"poetry\""));
  v1::QueryReportRequest query;
  query.set_page_token("x");
  v1::QueryReportResponse report;
  EXPECT_EQ(Call(reports, &v1::ReportService::Stub::QueryReport, kViewer, query, report).code(),
            absl::StatusCode::kInvalidArgument);
  v1::GetInvoiceRequest get;
  get.set_name("teams/nlp/invoices/november");
  v1::Invoice invoice;
  EXPECT_EQ(Call(reports, &v1::ReportService::Stub::GetInvoice, kViewer, get, invoice).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::services::billing
