// Budgets and slices between floe.billing.v1 and the domain.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/ports.h"
#include "floe/billing/v1/budget.pb.h"

namespace floe::services::billing {

// `budgets/{budget}`; INVALID_ARGUMENT says the form.
absl::StatusOr<std::string> BudgetId(std::string_view name);

absl::StatusOr<floe::billing::Subject> FromProto(const floe::billing::v1::Subject& subject);
// The parts that a person chooses.
absl::StatusOr<floe::billing::Budget> FromProto(
    const floe::billing::v1::CreateBudgetRequest& request);
// INVALID_ARGUMENT names an unknown path of the mask.
absl::StatusOr<floe::billing::BudgetChange> FromProto(
    const floe::billing::v1::UpdateBudgetRequest& request);
absl::StatusOr<floe::billing::SliceStore::AcquireRequest> FromProto(
    const floe::billing::v1::AcquireSliceRequest& request);

floe::billing::v1::Budget ToProto(const floe::billing::BudgetView& view);
// An open slice whose lease ended before `now` is EXPIRED.
absl::StatusOr<floe::billing::v1::Slice> ToProto(const floe::billing::Slice& slice, absl::Time now);

}  // namespace floe::services::billing
