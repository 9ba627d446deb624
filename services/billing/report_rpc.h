// floe.billing.v1.ReportService.
#pragma once

#include "base/clock.h"
#include "base/id.h"
#include "billing/ports.h"
#include "billing/price_books.h"
#include "floe/billing/v1/report.grpc.pb.h"
#include "services/runtime/call.h"

namespace floe::services::billing {

// Thread-safe. Borrows its parts.
class ReportRpc final : public floe::billing::v1::ReportService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    const Clock& clock;
    IdGenerator& ids;
    floe::billing::PriceBooks& books;
    floe::billing::ReportStore& reports;
    floe::billing::InvoiceStore& invoices;
    floe::billing::TrainingCostStore& training;
    floe::billing::JobUsageStore& jobs;
  };
  explicit ReportRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status QueryReport(grpc::ServerContext* context,
                           const floe::billing::v1::QueryReportRequest* request,
                           floe::billing::v1::QueryReportResponse* answer) override;
  grpc::Status ExportFocus(
      grpc::ServerContext* context, const floe::billing::v1::ExportFocusRequest* request,
      grpc::ServerWriter<floe::billing::v1::ExportFocusResponse>* writer) override;
  grpc::Status ExplainUsage(grpc::ServerContext* context,
                            const floe::billing::v1::ExplainUsageRequest* request,
                            floe::billing::v1::ExplainUsageResponse* answer) override;
  grpc::Status GetWorkflowTree(grpc::ServerContext* context,
                               const floe::billing::v1::GetWorkflowTreeRequest* request,
                               floe::billing::v1::WorkflowTree* answer) override;
  grpc::Status VerifyUsage(grpc::ServerContext* context,
                           const floe::billing::v1::VerifyUsageRequest* request,
                           floe::billing::v1::VerifyUsageResponse* answer) override;
  grpc::Status GetInvoice(grpc::ServerContext* context,
                          const floe::billing::v1::GetInvoiceRequest* request,
                          floe::billing::v1::Invoice* answer) override;
  grpc::Status IssueInvoice(grpc::ServerContext* context,
                            const floe::billing::v1::IssueInvoiceRequest* request,
                            floe::billing::v1::Invoice* answer) override;
  grpc::Status Plan(grpc::ServerContext* context, const floe::billing::v1::PlanRequest* request,
                    floe::billing::v1::PlanResponse* answer) override;
  grpc::Status CreateTrainingCost(grpc::ServerContext* context,
                                  const floe::billing::v1::CreateTrainingCostRequest* request,
                                  floe::billing::v1::TrainingCost* answer) override;
  grpc::Status QueryTrainingCost(grpc::ServerContext* context,
                                 const floe::billing::v1::QueryTrainingCostRequest* request,
                                 floe::billing::v1::QueryTrainingCostResponse* answer) override;
  grpc::Status QueryJobUsage(grpc::ServerContext* context,
                             const floe::billing::v1::QueryJobUsageRequest* request,
                             floe::billing::v1::QueryJobUsageResponse* answer) override;

 private:
  absl::StatusOr<floe::billing::Report> Query(const runtime::CallIdentity& identity,
                                              const floe::billing::v1::QueryReportRequest& request,
                                              int64_t limit, int64_t offset);

  const Parts parts_;
};

}  // namespace floe::services::billing
