#include "services/billing/budget_rpc.h"

#include "absl/strings/match.h"

#include "base/status_macros.h"
#include "services/billing/access.h"
#include "services/billing/convert.h"
#include "services/billing/convert_budget.h"

namespace floe::services::billing {
namespace {

// The team whose budgets the caller sees: empty for all.
std::string SeenBy(const runtime::CallContext& call) {
  return IsOperator(call.identity()) ? "" : call.identity().team;
}

// A team's admin sets limits inside the team; those of tenants and other teams are the operator's.
absl::Status CheckOwner(const runtime::CallIdentity& identity, const domain::Subject& subject) {
  FLOE_RETURN_IF_ERROR(RequireAdmin(identity, "set budgets"));
  if (subject.scope == domain::Scope::kTenant) {
    return RequireOperator(identity, "set a tenant's budget");
  }
  return TeamOf(identity, subject.team).status();
}

// What the operator or a policy set binds the team: it may be tighter with itself, not looser.
absl::Status CheckChange(const runtime::CallIdentity& identity, const domain::Budget& budget) {
  FLOE_RETURN_IF_ERROR(CheckOwner(identity, budget.subject));
  if (!IsOperatorTeam(budget.creator_team)) return absl::OkStatus();
  return RequireOperator(identity,
                         "change or delete a budget that the operator or a policy set; a team can "
                         "make a tighter one beside it");
}

// The names by which gateways find what a policy lets a workflow spend: whoever made one first
// would choose its limit.
constexpr char kPolicyPrefix[] = "workflow-";

absl::Status CheckId(const runtime::CallIdentity& identity, const std::string& id) {
  if (identity.team.empty() || !absl::StartsWith(id, kPolicyPrefix)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "budget ids that begin with workflow- belong to policies; choose another one");
}

}  // namespace

grpc::Status BudgetRpc::CreateBudget(grpc::ServerContext* context,
                                     const v1::CreateBudgetRequest* request, v1::Budget* answer) {
  return parts_.calls.Run(*context, "billing.CreateBudget", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(domain::Budget budget, FromProto(*request));
    FLOE_RETURN_IF_ERROR(CheckOwner(call.identity(), budget.subject));
    FLOE_RETURN_IF_ERROR(CheckId(call.identity(), budget.id));
    budget.creator = call.identity().key_id;
    FLOE_ASSIGN_OR_RETURN(const auto key, KeyOf(call.identity(), *request, request->request_id()));
    FLOE_ASSIGN_OR_RETURN(const auto view, parts_.budgets.Create(budget, key));
    *answer = ToProto(view);
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::GetBudget(grpc::ServerContext* context, const v1::GetBudgetRequest* request,
                                  v1::Budget* answer) {
  return parts_.calls.Run(*context, "billing.GetBudget", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, BudgetId(request->name()));
    FLOE_ASSIGN_OR_RETURN(const auto view, parts_.budgets.Get(SeenBy(call), id));
    *answer = ToProto(view);
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::ListBudgets(grpc::ServerContext* context,
                                    const v1::ListBudgetsRequest* request,
                                    v1::ListBudgetsResponse* answer) {
  return parts_.calls.Run(*context, "billing.ListBudgets", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const Page page, ReadPage(request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(auto views,
                          parts_.budgets.List(SeenBy(call), page.limit + 1, page.offset));
    if (static_cast<int>(views.size()) > page.limit) {
      views.pop_back();
      answer->set_next_page_token(NextToken(page));
    }
    for (const auto& view : views) *answer->add_budgets() = ToProto(view);
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::ListApplicableBudgets(grpc::ServerContext* context,
                                              const v1::ListApplicableBudgetsRequest* request,
                                              v1::ListApplicableBudgetsResponse* answer) {
  return parts_.calls.Run(
      *context, "billing.ListApplicableBudgets", [&](auto& call) -> absl::Status {
        FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "ask what binds a request"));
        const std::string tenant = request->tenant().empty() ? "default" : request->tenant();
        FLOE_ASSIGN_OR_RETURN(const auto views, parts_.budgets.Applicable(domain::SubjectKeysOf(
                                                    tenant, request->team(), request->key(),
                                                    request->workflow_id())));
        for (const auto& view : views) *answer->add_budgets() = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::Status BudgetRpc::UpdateBudget(grpc::ServerContext* context,
                                     const v1::UpdateBudgetRequest* request, v1::Budget* answer) {
  return parts_.calls.Run(*context, "billing.UpdateBudget", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, BudgetId(request->budget().name()));
    FLOE_ASSIGN_OR_RETURN(const auto change, FromProto(*request));
    FLOE_ASSIGN_OR_RETURN(const auto old, parts_.budgets.Get(SeenBy(call), id));
    FLOE_RETURN_IF_ERROR(CheckChange(call.identity(), old.budget));
    FLOE_ASSIGN_OR_RETURN(const auto view, parts_.budgets.Update(SeenBy(call), id, change));
    *answer = ToProto(view);
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::DeleteBudget(grpc::ServerContext* context,
                                     const v1::DeleteBudgetRequest* request,
                                     v1::DeleteBudgetResponse* answer) {
  return parts_.calls.Run(*context, "billing.DeleteBudget", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, BudgetId(request->name()));
    FLOE_ASSIGN_OR_RETURN(const auto old, parts_.budgets.Get(SeenBy(call), id));
    FLOE_RETURN_IF_ERROR(CheckChange(call.identity(), old.budget));
    return parts_.budgets.Delete(SeenBy(call), id);
  });
}

grpc::Status BudgetRpc::AcquireSlice(grpc::ServerContext* context,
                                     const v1::AcquireSliceRequest* request, v1::Slice* answer) {
  return parts_.calls.Run(*context, "billing.AcquireSlice", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "lease budget slices"));
    FLOE_ASSIGN_OR_RETURN(const auto acquire, FromProto(*request));
    FLOE_ASSIGN_OR_RETURN(const auto slice, parts_.slices.Acquire(acquire));
    FLOE_ASSIGN_OR_RETURN(*answer, ToProto(slice, parts_.clock.Now()));
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::RenewSlice(grpc::ServerContext* context,
                                   const v1::RenewSliceRequest* request, v1::Slice* answer) {
  return parts_.calls.Run(*context, "billing.RenewSlice", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "lease budget slices"));
    FLOE_ASSIGN_OR_RETURN(const auto additional, FromProto(request->additional(), "additional"));
    FLOE_ASSIGN_OR_RETURN(
        const auto slice,
        parts_.slices.Renew(request->name(), FromProto(request->lease()), additional));
    FLOE_ASSIGN_OR_RETURN(*answer, ToProto(slice, parts_.clock.Now()));
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::ReturnSlice(grpc::ServerContext* context,
                                    const v1::ReturnSliceRequest* request, v1::Slice* answer) {
  return parts_.calls.Run(*context, "billing.ReturnSlice", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "lease budget slices"));
    FLOE_ASSIGN_OR_RETURN(const auto spent, FromProto(request->spent(), "spent"));
    FLOE_ASSIGN_OR_RETURN(const auto slice, parts_.slices.Return(request->name(), spent));
    FLOE_ASSIGN_OR_RETURN(*answer, ToProto(slice, parts_.clock.Now()));
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::ListSlices(grpc::ServerContext* context,
                                   const v1::ListSlicesRequest* request,
                                   v1::ListSlicesResponse* answer) {
  return parts_.calls.Run(*context, "billing.ListSlices", [&](auto& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, BudgetId(request->parent()));
    FLOE_RETURN_IF_ERROR(parts_.budgets.Get(SeenBy(call), id).status());
    FLOE_ASSIGN_OR_RETURN(const Page page, ReadPage(request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(
        auto slices, parts_.slices.List(id, request->held_only(), page.limit + 1, page.offset));
    if (static_cast<int>(slices.size()) > page.limit) {
      slices.pop_back();
      answer->set_next_page_token(NextToken(page));
    }
    for (const auto& slice : slices) {
      FLOE_ASSIGN_OR_RETURN(*answer->add_slices(), ToProto(slice, parts_.clock.Now()));
    }
    return absl::OkStatus();
  });
}

grpc::Status BudgetRpc::WriteOffSlice(grpc::ServerContext* context,
                                      const v1::WriteOffSliceRequest* request, v1::Slice* answer) {
  return parts_.calls.Run(*context, "billing.WriteOffSlice", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireOperator(call.identity(), "write slices off"));
    FLOE_ASSIGN_OR_RETURN(const auto slice,
                          parts_.slices.WriteOff(request->name(), request->reason()));
    FLOE_ASSIGN_OR_RETURN(*answer, ToProto(slice, parts_.clock.Now()));
    return absl::OkStatus();
  });
}

}  // namespace floe::services::billing
