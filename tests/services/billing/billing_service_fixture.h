// floe-billing over real gRPC and a real Postgres, with a database for each test.
#pragma once

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
#include "billing/postgres/job_usage_store.h"
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

// Who calls; a service has no team.
struct Caller {
  std::string team;
  std::string role;
};
inline const Caller kService{};
inline const Caller kOperator{"default", "admin"};
inline const Caller kAdmin{"nlp", "admin"};
inline const Caller kViewer{"nlp", "viewer"};
inline const Caller kStranger{"law", "admin"};

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
    event.set_model("teams/nlp/models/hamlet");
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
  domain::PostgresJobUsageStore job_store_{*pool_};
  domain::IngestUsage ingest_{price_books_, usage_store_};
  UsageRpc usage_{calls_, metrics_, ingest_, usage_store_, job_store_};
  PriceBookRpc books_{{calls_, clock_, price_books_, book_store_, ingest_}};
  QuoteRpc quotes_{calls_, clock_, price_books_};
  BudgetRpc budgets_{{calls_, clock_, budget_store_, slice_store_}};
  ReportRpc reports_{{calls_, clock_, ids_, price_books_, report_store_, invoice_store_,
                      training_store_, job_store_}};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::UsageService::Stub> usage;
  std::unique_ptr<v1::PriceBookService::Stub> books;
  std::unique_ptr<v1::QuoteService::Stub> quotes;
  std::unique_ptr<v1::BudgetService::Stub> budgets;
  std::unique_ptr<v1::ReportService::Stub> reports;
};

}  // namespace floe::services::billing
