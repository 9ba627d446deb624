// Usage in, and everything that is read from it.
#include "tests/services/billing/billing_service_fixture.h"

namespace floe::services::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(BillingServiceTest, ATrainingCostsRequestIdIsItsTeamsAndForOneCostOnly) {
  v1::CreateTrainingCostRequest request;
  request.set_request_id("r1");
  v1::TrainingCost& cost = *request.mutable_training_cost();
  cost.set_model_version("7");
  cost.mutable_amount()->set_picodollars("1000");
  cost.set_amortization_days(10);
  v1::TrainingCost made;
  const auto add = [&](const Caller& caller) {
    cost.set_model("teams/" + caller.team + "/models/hamlet");
    made.Clear();
    return Call(reports, &v1::ReportService::Stub::CreateTrainingCost, caller, request, made);
  };
  ASSERT_TRUE(add(kAdmin).ok());
  const std::string first = made.name();
  ASSERT_TRUE(add(kStranger).ok());
  EXPECT_EQ(made.team(), "law");
  EXPECT_NE(made.name(), first);
  ASSERT_TRUE(add(kAdmin).ok());
  EXPECT_EQ(made.name(), first);
  cost.mutable_amount()->set_picodollars("2000");
  EXPECT_EQ(ReasonOf(add(kAdmin))->reason, "REQUEST_ID_REUSED");
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

TEST_F(BillingServiceTest, WhatMayBeOnItsWayIsADifferenceOnlyToWhoNamesAnEnd) {
  ASSERT_TRUE(Publish(kOperator).ok());
  Ingest({Event("u1")});  // and no worker has reported yet
  v1::VerifyUsageRequest verify;
  v1::VerifyUsageResponse verified;
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::VerifyUsage, kOperator, verify, verified).ok());
  EXPECT_TRUE(verified.clean()) << verified.ShortDebugString();
  EXPECT_EQ(verified.on_the_way(), 1);
  // A month that still runs is not over either.
  *verify.mutable_interval()->mutable_end() = ToProto(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::VerifyUsage, kOperator, verify, verified).ok());
  EXPECT_EQ(verified.on_the_way(), 1);
  *verify.mutable_interval()->mutable_end() = ToProto(clock_.Now());
  ASSERT_TRUE(
      Call(reports, &v1::ReportService::Stub::VerifyUsage, kOperator, verify, verified).ok());
  EXPECT_FALSE(verified.clean());
  EXPECT_EQ(verified.on_the_way(), 0);
  EXPECT_EQ(verified.unexplained(), 1);
}

// A book tells margins, and the terms of every team's models.
TEST_F(BillingServiceTest, OnlyOperatorsAndServicesReadABookAsItWasWritten) {
  ASSERT_TRUE(Publish(kOperator).ok());
  v1::GetPriceBookRequest get;
  get.set_name("priceBooks/b1");
  v1::GetEffectivePriceBookRequest effective;
  for (const Caller& caller : {kService, kOperator}) {
    v1::PriceBook book;
    ASSERT_TRUE(Call(books, &v1::PriceBookService::Stub::GetPriceBook, caller, get, book).ok());
    EXPECT_EQ(book.yaml(), domain::kSampleBook);
  }
  for (const Caller& caller : {kViewer, kAdmin, Caller{"default", "viewer"}}) {
    v1::PriceBook book;
    const absl::Status refused =
        Call(books, &v1::PriceBookService::Stub::GetPriceBook, caller, get, book);
    EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("floe bill quote"));
    EXPECT_EQ(
        Call(books, &v1::PriceBookService::Stub::GetEffectivePriceBook, caller, effective, book)
            .code(),
        absl::StatusCode::kPermissionDenied);
    v1::ListPriceBooksResponse list;
    ASSERT_TRUE(Call(books, &v1::PriceBookService::Stub::ListPriceBooks, caller,
                     v1::ListPriceBooksRequest(), list)
                    .ok());
    ASSERT_EQ(list.price_books_size(), 1);
    EXPECT_EQ(list.price_books(0).yaml(), "");
  }
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
  cost.mutable_training_cost()->set_model("teams/nlp/models/hamlet");
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

TEST_F(BillingServiceTest, WhatJobsUsedIsToldByServicesAndReadByTheTeam) {
  v1::IngestJobUsageRequest request;
  request.set_queue("trainer");
  v1::JobUsage& attempt = *request.add_attempts();
  attempt.set_job("teams/nlp/jobs/trainer-1");
  attempt.set_attempt(1);
  attempt.set_kind("pretrain");
  attempt.set_outcome("succeeded");
  attempt.set_made("teams/nlp/models/hamlet/versions/7");
  *attempt.mutable_end_time() = ToProto(clock_.Now() - absl::Minutes(1));
  attempt.mutable_used()->set_tokens(1000);
  *attempt.mutable_used()->mutable_core_time() = ToProto(absl::Seconds(30));
  v1::JobCount& count = *request.add_counts();
  count.set_team("nlp");
  *count.mutable_used() = attempt.used();
  count.mutable_used()->set_attempts(1);
  v1::IngestJobUsageResponse taken;
  const auto ingest = &v1::UsageService::Stub::IngestJobUsage;
  EXPECT_EQ(Call(usage, ingest, kAdmin, request, taken).code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Call(usage, ingest, kService, request, taken).ok());
  EXPECT_EQ(taken.accepted(), 1);
  ASSERT_TRUE(Call(usage, ingest, kService, request, taken).ok());
  EXPECT_EQ(taken.accepted(), 0);

  v1::QueryJobUsageResponse rows;
  const auto query = &v1::ReportService::Stub::QueryJobUsage;
  ASSERT_TRUE(Call(reports, query, kViewer, v1::QueryJobUsageRequest(), rows).ok());
  ASSERT_EQ(rows.rows_size(), 1);
  EXPECT_EQ(rows.rows(0).made(), "teams/nlp/models/hamlet/versions/7");
  EXPECT_EQ(rows.total().tokens(), 1000);
  EXPECT_EQ(rows.total().core_time().seconds(), 30);
  EXPECT_EQ(rows.rows(0).job(), "");
  v1::QueryJobUsageRequest each;
  each.set_each_job(true);
  ASSERT_TRUE(Call(reports, query, kViewer, each, rows).ok());
  EXPECT_EQ(rows.rows(0).job(), "teams/nlp/jobs/trainer-1");
  ASSERT_TRUE(Call(reports, query, kStranger, v1::QueryJobUsageRequest(), rows).ok());
  EXPECT_EQ(rows.rows_size(), 0);

  v1::VerifyUsageResponse verdict;
  const auto verify = &v1::ReportService::Stub::VerifyUsage;
  ASSERT_TRUE(Call(reports, verify, kOperator, v1::VerifyUsageRequest(), verdict).ok());
  EXPECT_TRUE(verdict.clean());
  EXPECT_EQ(verdict.jobs_billed().tokens(), 1000);
  count.mutable_used()->set_attempts(2);
  ASSERT_TRUE(Call(usage, ingest, kService, request, taken).ok());
  ASSERT_TRUE(Call(reports, verify, kOperator, v1::VerifyUsageRequest(), verdict).ok());
  EXPECT_FALSE(verdict.clean());
  EXPECT_EQ(verdict.ledger_faults_size(), 1);

  attempt.set_job("hamlet");
  EXPECT_EQ(Call(usage, ingest, kService, request, taken).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::services::billing
