// What people read, between floe.billing.v1 and the domain.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/planner.h"
#include "billing/ports.h"
#include "floe/billing/v1/report.pb.h"

namespace floe::services::billing {

// Without a start: from the begin of this month; without an end: until now.
floe::billing::Interval FromProto(const floe::billing::v1::Interval& interval, absl::Time now);

floe::billing::v1::ReportRow ToProto(const floe::billing::ReportRow& row);
absl::StatusOr<floe::billing::v1::ExplainUsageResponse> ToProto(
    const floe::billing::ExplainedUsage& explained);
floe::billing::v1::WorkflowTree ToProto(const floe::billing::WorkflowTree& tree,
                                        const std::string& name);
floe::billing::v1::JobQuantities ToProto(const floe::billing::JobQuantities& used);
floe::billing::v1::QueryJobUsageResponse::Row ToProto(const floe::billing::JobUsageRow& row);
floe::billing::v1::VerifyUsageResponse ToProto(const floe::billing::VerifyReport& report);

// `teams/{team}/invoices/{month}`.
struct InvoiceName {
  std::string team;
  absl::CivilMonth month;
};
absl::StatusOr<InvoiceName> ParseInvoiceName(const std::string& name);
floe::billing::v1::Invoice ToProto(const floe::billing::Invoice& invoice);

absl::StatusOr<std::vector<floe::billing::Workload>> FromProto(
    const floe::billing::v1::PlanRequest& request);
floe::billing::v1::PlanResponse ToProto(const floe::billing::Plan& plan);

absl::StatusOr<floe::billing::TrainingCost> FromProto(const floe::billing::v1::TrainingCost& cost);
floe::billing::v1::TrainingCost ToProto(const floe::billing::TrainingCost& cost);
floe::billing::v1::QueryTrainingCostResponse::Row ToProto(
    const floe::billing::TrainingCostRow& row);

}  // namespace floe::services::billing
