#include "services/gateway/clients/budget_rpc_client.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "billing/money/money.h"
#include "services/runtime/client.h"
#include "services/runtime/proto_time.h"
#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;

constexpr absl::Duration kCallTime = absl::Seconds(2);

// On the context that every call of this client has.
template <typename Method, typename Request, typename Answer>
absl::Status Call(pb::BudgetService::Stub& stub, Method method, const Request& request,
                  Answer& answer) {
  grpc::ClientContext context;
  runtime::PrepareCall(context, runtime::OutgoingCall::Own("budgets", kCallTime));
  return runtime::FromGrpcStatus((stub.*method)(&context, request, &answer));
}

absl::StatusOr<Picos> PicosOf(const pb::Money& money) {
  if (money.picodollars().empty()) return Picos{0};
  FLOE_ASSIGN_OR_RETURN(const billing::Money amount, billing::Money::Parse(money.picodollars()));
  return amount.picos();
}

void SetMoney(Picos amount, pb::Money& money) {
  money.set_picodollars(billing::Int128ToString(amount));
}

absl::StatusOr<RemoteSlice> FromProto(const pb::Slice& slice) {
  RemoteSlice out;
  out.slice.name = slice.name();
  FLOE_ASSIGN_OR_RETURN(out.slice.amount, PicosOf(slice.amount()));
  FLOE_ASSIGN_OR_RETURN(out.settled, PicosOf(slice.settled()));
  out.slice.expire_time = runtime::FromProto(slice.expire_time());
  out.budget = slice.name().substr(0, slice.name().find("/slices/"));
  return out;
}

}  // namespace

absl::StatusOr<std::vector<BoundBudget>> BudgetRpcClient::Applicable(const Spender& spender) {
  pb::ListApplicableBudgetsRequest request;
  request.set_tenant(spender.tenant);
  request.set_team(spender.team);
  request.set_key(spender.key_id);
  request.set_workflow_id(spender.workflow_id);
  pb::ListApplicableBudgetsResponse answer;
  FLOE_RETURN_IF_ERROR(
      Call(*stub_, &pb::BudgetService::Stub::ListApplicableBudgets, request, answer));
  std::vector<BoundBudget> budgets;
  for (const pb::Budget& budget : answer.budgets()) {
    FLOE_ASSIGN_OR_RETURN(const Picos limit, PicosOf(budget.limit()));
    budgets.push_back({budget.name(), limit});
  }
  return budgets;
}

absl::Status BudgetRpcClient::EnsureWorkflowBudget(const Spender& spender) {
  FLOE_ASSIGN_OR_RETURN(const billing::Money limit,
                        billing::Money::ParseDollars(spender.workflow_max_cost));
  const std::string id = absl::StrCat(
      "workflow-", Sha256::Hex(absl::StrCat(spender.team, "/", spender.workflow_id)).substr(0, 32));
  pb::CreateBudgetRequest request;
  request.set_budget_id(id);
  pb::Budget& budget = *request.mutable_budget();
  budget.set_display_name(absl::StrCat("workflow ", spender.workflow_id, ", by policy"));
  budget.mutable_subject()->set_workflow(
      absl::StrCat("teams/", spender.team, "/workflows/", spender.workflow_id));
  budget.set_period(pb::Budget::TOTAL);
  SetMoney(limit.picos(), *budget.mutable_limit());
  pb::Budget answer;
  const absl::Status made = Call(*stub_, &pb::BudgetService::Stub::CreateBudget, request, answer);
  return absl::IsAlreadyExists(made) ? absl::OkStatus() : made;
}

absl::StatusOr<RemoteSlice> BudgetRpcClient::Acquire(const std::string& budget, Picos wanted,
                                                     absl::Duration lease,
                                                     const std::string& request_id) {
  pb::AcquireSliceRequest request;
  request.set_budget(budget);
  request.set_gateway(gateway_);
  SetMoney(wanted, *request.mutable_amount());
  SetMoney(1, *request.mutable_minimum());
  *request.mutable_lease() = runtime::ToProto(lease);
  request.set_request_id(request_id);
  pb::Slice slice;
  FLOE_RETURN_IF_ERROR(Call(*stub_, &pb::BudgetService::Stub::AcquireSlice, request, slice));
  return FromProto(slice);
}

absl::StatusOr<RemoteSlice> BudgetRpcClient::Renew(const std::string& slice, absl::Duration lease,
                                                   Picos additional) {
  pb::RenewSliceRequest request;
  request.set_name(slice);
  *request.mutable_lease() = runtime::ToProto(lease);
  SetMoney(additional, *request.mutable_additional());
  pb::Slice renewed;
  FLOE_RETURN_IF_ERROR(Call(*stub_, &pb::BudgetService::Stub::RenewSlice, request, renewed));
  return FromProto(renewed);
}

absl::Status BudgetRpcClient::Return(const std::string& slice, Picos spent) {
  pb::ReturnSliceRequest request;
  request.set_name(slice);
  SetMoney(spent, *request.mutable_spent());
  pb::Slice answer;
  return Call(*stub_, &pb::BudgetService::Stub::ReturnSlice, request, answer);
}

}  // namespace floe::gateway
