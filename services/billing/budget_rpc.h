// floe.billing.v1.BudgetService.
#pragma once

#include "base/clock.h"
#include "billing/ports.h"
#include "floe/billing/v1/budget.grpc.pb.h"
#include "services/runtime/call.h"

namespace floe::services::billing {

// Thread-safe. Borrows its parts.
class BudgetRpc final : public floe::billing::v1::BudgetService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    const Clock& clock;
    floe::billing::BudgetStore& budgets;
    floe::billing::SliceStore& slices;
  };
  explicit BudgetRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status CreateBudget(grpc::ServerContext* context,
                            const floe::billing::v1::CreateBudgetRequest* request,
                            floe::billing::v1::Budget* answer) override;
  grpc::Status GetBudget(grpc::ServerContext* context,
                         const floe::billing::v1::GetBudgetRequest* request,
                         floe::billing::v1::Budget* answer) override;
  grpc::Status ListBudgets(grpc::ServerContext* context,
                           const floe::billing::v1::ListBudgetsRequest* request,
                           floe::billing::v1::ListBudgetsResponse* answer) override;
  grpc::Status ListApplicableBudgets(
      grpc::ServerContext* context, const floe::billing::v1::ListApplicableBudgetsRequest* request,
      floe::billing::v1::ListApplicableBudgetsResponse* answer) override;
  grpc::Status UpdateBudget(grpc::ServerContext* context,
                            const floe::billing::v1::UpdateBudgetRequest* request,
                            floe::billing::v1::Budget* answer) override;
  grpc::Status DeleteBudget(grpc::ServerContext* context,
                            const floe::billing::v1::DeleteBudgetRequest* request,
                            floe::billing::v1::DeleteBudgetResponse* answer) override;
  grpc::Status AcquireSlice(grpc::ServerContext* context,
                            const floe::billing::v1::AcquireSliceRequest* request,
                            floe::billing::v1::Slice* answer) override;
  grpc::Status RenewSlice(grpc::ServerContext* context,
                          const floe::billing::v1::RenewSliceRequest* request,
                          floe::billing::v1::Slice* answer) override;
  grpc::Status ReturnSlice(grpc::ServerContext* context,
                           const floe::billing::v1::ReturnSliceRequest* request,
                           floe::billing::v1::Slice* answer) override;
  grpc::Status ListSlices(grpc::ServerContext* context,
                          const floe::billing::v1::ListSlicesRequest* request,
                          floe::billing::v1::ListSlicesResponse* answer) override;
  grpc::Status WriteOffSlice(grpc::ServerContext* context,
                             const floe::billing::v1::WriteOffSliceRequest* request,
                             floe::billing::v1::Slice* answer) override;

 private:
  const Parts parts_;
};

}  // namespace floe::services::billing
