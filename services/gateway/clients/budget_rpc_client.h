// Calls of floe.billing.v1.BudgetService on a gateway's own behalf: blocking, with short deadlines.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "floe/billing/v1/budget.grpc.pb.h"
#include "gateway/budget/holdings.h"

namespace floe::gateway {

// What billing says about a budget.
struct BoundBudget {
  std::string name;  // `budgets/nlp`
  Picos limit = 0;
};

// A slice as billing sees it.
struct RemoteSlice {
  LeasedSlice slice;
  std::string budget;  // `budgets/nlp`
  Picos settled = 0;
};

// Thread-safe.
class BudgetRpcClient {
 public:
  BudgetRpcClient(const std::shared_ptr<grpc::Channel>& billing, std::string gateway)
      : stub_(billing::v1::BudgetService::NewStub(billing)), gateway_(std::move(gateway)) {}

  absl::StatusOr<std::vector<BoundBudget>> Applicable(const Spender& spender);
  // A budget of the workflow's own, if it has none yet.
  absl::Status EnsureWorkflowBudget(const Spender& spender);
  // Up to `wanted`, as much as is free; RESOURCE_EXHAUSTED when nothing is. `request_id` makes
  // repeating safe.
  absl::StatusOr<RemoteSlice> Acquire(const std::string& budget, Picos wanted, absl::Duration lease,
                                      const std::string& request_id);
  absl::StatusOr<RemoteSlice> Renew(const std::string& slice, absl::Duration lease,
                                    Picos additional);
  absl::Status Return(const std::string& slice, Picos spent);

 private:
  const std::unique_ptr<billing::v1::BudgetService::Stub> stub_;
  const std::string gateway_;
};

}  // namespace floe::gateway
