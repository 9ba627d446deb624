#include "services/billing/report_rpc.h"

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "services/billing/access.h"
#include "services/billing/convert.h"
#include "services/billing/convert_report.h"

namespace floe::services::billing {
namespace {

constexpr int kUsualRows = 1000;
constexpr int kMostRows = 10'000;
constexpr int kUsualDifferences = 100;
// Journals deliver within a second or so; after this what is missing is missing.
constexpr absl::Duration kMargin = absl::Minutes(1);
constexpr size_t kChunkBytes = 256 << 10;

}  // namespace

absl::StatusOr<domain::Report> ReportRpc::Query(const runtime::CallIdentity& identity,
                                                const v1::QueryReportRequest& request,
                                                int64_t limit, int64_t offset) {
  domain::ReportQuery query{.interval = FromProto(request.interval(), parts_.clock.Now()),
                            .group_by = {request.group_by().begin(), request.group_by().end()},
                            .filter = {request.filter().begin(), request.filter().end()},
                            .limit = limit,
                            .offset = offset};
  const auto wanted = query.filter.find("team");
  FLOE_ASSIGN_OR_RETURN(const std::string team,
                        TeamOf(identity, wanted == query.filter.end() ? "" : wanted->second));
  if (!team.empty()) query.filter["team"] = team;
  return parts_.reports.Query(query);
}

grpc::Status ReportRpc::QueryReport(grpc::ServerContext* context,
                                    const v1::QueryReportRequest* request,
                                    v1::QueryReportResponse* answer) {
  return parts_.calls.Run(*context, "billing.QueryReport", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const Page page, ReadPage(request->page_size(), request->page_token(),
                                                    kUsualRows, kMostRows));
    FLOE_ASSIGN_OR_RETURN(const auto report,
                          Query(call.identity(), *request, page.limit, page.offset));
    *answer->mutable_group_by() = request->group_by();
    for (const auto& row : report.rows) *answer->add_rows() = ToProto(row);
    *answer->mutable_total() = ToProto(report.total);
    if (report.more) answer->set_next_page_token(NextToken(page));
    if (request->csv()) {
      answer->set_csv(
          domain::ReportCsv({request->group_by().begin(), request->group_by().end()}, report.rows));
    }
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::ExportFocus(grpc::ServerContext* context,
                                    const v1::ExportFocusRequest* request,
                                    grpc::ServerWriter<v1::ExportFocusResponse>* writer) {
  const auto body = [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), request->team()));
    FLOE_ASSIGN_OR_RETURN(const auto month, domain::ParseMonth(request->month()));
    v1::ExportFocusResponse piece;
    FLOE_RETURN_IF_ERROR(parts_.invoices.ExportFocus(team, month, [&](std::string_view line) {
      piece.mutable_csv()->append(line);
      if (piece.csv().size() < kChunkBytes) return;
      writer->Write(piece);
      piece.clear_csv();
    }));
    if (!piece.csv().empty()) writer->Write(piece);
    return absl::OkStatus();
  };
  return parts_.calls.Run(*context, "billing.ExportFocus", body, runtime::CallKind::kStream);
}

grpc::Status ReportRpc::ExplainUsage(grpc::ServerContext* context,
                                     const v1::ExplainUsageRequest* request,
                                     v1::ExplainUsageResponse* answer) {
  return parts_.calls.Run(*context, "billing.ExplainUsage", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), ""));
    FLOE_ASSIGN_OR_RETURN(const auto explained, parts_.reports.Explain(team, request->usage_id()));
    FLOE_ASSIGN_OR_RETURN(*answer, ToProto(explained));
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::GetWorkflowTree(grpc::ServerContext* context,
                                        const v1::GetWorkflowTreeRequest* request,
                                        v1::WorkflowTree* answer) {
  return parts_.calls.Run(*context, "billing.GetWorkflowTree", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const auto ids,
                          ParseResourceName(request->name(), {"teams", "workflows"}));
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), ids[0]));
    FLOE_ASSIGN_OR_RETURN(auto steps, parts_.reports.WorkflowSteps(team, ids[1]));
    if (steps.empty()) {
      return absl::NotFoundError(absl::StrCat("no step of ", request->name(), " has arrived"));
    }
    FLOE_ASSIGN_OR_RETURN(const auto tree, domain::BuildTree(std::move(steps)));
    *answer = ToProto(tree, request->name());
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::VerifyUsage(grpc::ServerContext* context,
                                    const v1::VerifyUsageRequest* request,
                                    v1::VerifyUsageResponse* answer) {
  return parts_.calls.Run(*context, "billing.VerifyUsage", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), request->team()));
    if (request->max_differences() < 0) {
      return absl::InvalidArgumentError("max_differences is negative");
    }
    const int most =
        request->max_differences() == 0 ? kUsualDifferences : request->max_differences();
    const absl::Time now = parts_.clock.Now();
    domain::VerifyQuery query{.team = team,
                              .interval = FromProto(request->interval(), now),
                              .max_differences = static_cast<size_t>(std::min(most, kMostRows))};
    if (query.interval.end > now) query.margin = kMargin;
    FLOE_ASSIGN_OR_RETURN(const auto report, parts_.reports.Verify(query));
    *answer = ToProto(report);
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::GetInvoice(grpc::ServerContext* context,
                                   const v1::GetInvoiceRequest* request, v1::Invoice* answer) {
  return parts_.calls.Run(*context, "billing.GetInvoice", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const auto name, ParseInvoiceName(request->name()));
    FLOE_RETURN_IF_ERROR(TeamOf(call.identity(), name.team).status());
    FLOE_ASSIGN_OR_RETURN(const auto invoice, parts_.invoices.Get(name.team, name.month));
    *answer = ToProto(invoice);
    if (request->html()) answer->set_html(InvoiceHtml(invoice));
    if (request->csv()) answer->set_csv(InvoiceCsv(invoice));
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::IssueInvoice(grpc::ServerContext* context,
                                     const v1::IssueInvoiceRequest* request, v1::Invoice* answer) {
  return parts_.calls.Run(*context, "billing.IssueInvoice", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireOperator(call.identity(), "issue invoices"));
    FLOE_ASSIGN_OR_RETURN(const auto name, ParseInvoiceName(request->name()));
    FLOE_ASSIGN_OR_RETURN(const auto invoice,
                          parts_.invoices.Issue(name.team, name.month, parts_.clock.Now()));
    *answer = ToProto(invoice);
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::Plan(grpc::ServerContext* context, const v1::PlanRequest* request,
                             v1::PlanResponse* answer) {
  return parts_.calls.Run(*context, "billing.Plan", [&](auto&) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, PriceBookId(request->price_book()));
    FLOE_ASSIGN_OR_RETURN(const auto book, parts_.books.Resolve(id, parts_.clock.Now()));
    FLOE_ASSIGN_OR_RETURN(const auto workloads, FromProto(*request));
    FLOE_ASSIGN_OR_RETURN(const auto plan, domain::MakePlan(*book.book, workloads));
    *answer = ToProto(plan);
    answer->set_price_book(PriceBookName(book.id));
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::CreateTrainingCost(grpc::ServerContext* context,
                                           const v1::CreateTrainingCostRequest* request,
                                           v1::TrainingCost* answer) {
  return parts_.calls.Run(*context, "billing.CreateTrainingCost", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireAdmin(call.identity(), "record training costs"));
    FLOE_ASSIGN_OR_RETURN(domain::TrainingCost cost, FromProto(request->training_cost()));
    FLOE_ASSIGN_OR_RETURN(cost.team, TeamOf(call.identity(), cost.team));
    cost.id = parts_.ids.Next();
    if (!request->training_cost().has_start_time()) cost.start_time = parts_.clock.Now();
    FLOE_ASSIGN_OR_RETURN(const auto key, KeyOf(call.identity(), *request, request->request_id()));
    FLOE_ASSIGN_OR_RETURN(const auto made, parts_.training.Insert(cost, key));
    *answer = ToProto(made);
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::QueryTrainingCost(grpc::ServerContext* context,
                                          const v1::QueryTrainingCostRequest* request,
                                          v1::QueryTrainingCostResponse* answer) {
  return parts_.calls.Run(*context, "billing.QueryTrainingCost", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), request->team()));
    const absl::Time now = request->has_time() ? FromProto(request->time()) : parts_.clock.Now();
    FLOE_ASSIGN_OR_RETURN(const auto costs, parts_.training.List(team, now));
    FLOE_ASSIGN_OR_RETURN(const auto uses, parts_.training.Uses(team, now));
    FLOE_ASSIGN_OR_RETURN(const auto jobs, parts_.jobs.Query(team, {absl::UnixEpoch(), now},
                                                             domain::JobUsageStore::Rows::kMade));
    FLOE_ASSIGN_OR_RETURN(const auto rows, domain::CompareTrainingCost(costs, uses, jobs, now));
    for (const auto& row : rows) *answer->add_rows() = ToProto(row);
    return absl::OkStatus();
  });
}

grpc::Status ReportRpc::QueryJobUsage(grpc::ServerContext* context,
                                      const v1::QueryJobUsageRequest* request,
                                      v1::QueryJobUsageResponse* answer) {
  return parts_.calls.Run(*context, "billing.QueryJobUsage", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call.identity(), request->team()));
    const domain::Interval interval{
        request->has_start() ? FromProto(request->start()) : absl::UnixEpoch(),
        request->has_end() ? FromProto(request->end()) : parts_.clock.Now()};
    using Rows = domain::JobUsageStore::Rows;
    FLOE_ASSIGN_OR_RETURN(
        const auto rows,
        parts_.jobs.Query(team, interval, request->each_job() ? Rows::kJobs : Rows::kMade));
    domain::JobQuantities total;
    for (const domain::JobUsageRow& row : rows) {
      *answer->add_rows() = ToProto(row);
      total += row.used;
    }
    *answer->mutable_total() = ToProto(total);
    return absl::OkStatus();
  });
}

}  // namespace floe::services::billing
