#include "services/billing/convert_budget.h"

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "services/billing/convert.h"

namespace floe::services::billing {
namespace {

v1::Subject SubjectToProto(const domain::Subject& subject) {
  v1::Subject out;
  switch (subject.scope) {
    case domain::Scope::kTenant:
      out.set_tenant(subject.tenant);
      break;
    case domain::Scope::kTeam:
      out.set_team(subject.team);
      break;
    case domain::Scope::kKey:
      out.set_key(absl::StrCat("teams/", subject.team, "/keys/", subject.id));
      break;
    case domain::Scope::kWorkflow:
      out.set_workflow(absl::StrCat("teams/", subject.team, "/workflows/", subject.id));
      break;
  }
  return out;
}

absl::StatusOr<domain::Period> PeriodOf(v1::Budget::Period period) {
  switch (period) {
    case v1::Budget::DAY:
      return domain::Period::kDay;
    case v1::Budget::MONTH:
      return domain::Period::kMonth;
    case v1::Budget::TOTAL:
      return domain::Period::kTotal;
    default:
      return absl::InvalidArgumentError("budget.period is missing: DAY, MONTH or TOTAL");
  }
}

v1::Budget::Period PeriodToProto(domain::Period period) {
  switch (period) {
    case domain::Period::kDay:
      return v1::Budget::DAY;
    case domain::Period::kMonth:
      return v1::Budget::MONTH;
    case domain::Period::kTotal:
      return v1::Budget::TOTAL;
  }
  return v1::Budget::PERIOD_UNSPECIFIED;
}

absl::StatusOr<domain::Money> LimitOf(const v1::Budget& budget) {
  if (!budget.has_limit()) {
    return absl::InvalidArgumentError("budget.limit is missing (0 stops all spending)");
  }
  FLOE_ASSIGN_OR_RETURN(const domain::Money limit, FromProto(budget.limit(), "budget.limit"));
  if (limit >= domain::Money()) return limit;
  return absl::InvalidArgumentError("budget.limit is negative");
}

v1::Slice::State StateOf(const domain::Slice& slice, domain::Money held, absl::Time now) {
  switch (slice.state) {
    case domain::SliceState::kOpen:
      return slice.expire_time <= now ? v1::Slice::EXPIRED : v1::Slice::OPEN;
    case domain::SliceState::kReturned:
      return held.is_zero() ? v1::Slice::SETTLED : v1::Slice::RETURNED;
    case domain::SliceState::kWrittenOff:
      return v1::Slice::WRITTEN_OFF;
  }
  return v1::Slice::STATE_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<std::string> BudgetId(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(name, {"budgets"}));
  return ids[0];
}

absl::StatusOr<domain::Subject> FromProto(const v1::Subject& subject) {
  using Case = v1::Subject::SubjectCase;
  switch (subject.subject_case()) {
    case Case::kTenant:
      if (!IsResourceId(subject.tenant())) break;
      return domain::Subject{.scope = domain::Scope::kTenant, .tenant = subject.tenant()};
    case Case::kTeam:
      if (!IsResourceId(subject.team())) break;
      return domain::Subject{.scope = domain::Scope::kTeam, .team = subject.team()};
    case Case::kKey: {
      FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(subject.key(), {"teams", "keys"}));
      return domain::Subject{.scope = domain::Scope::kKey, .team = ids[0], .id = ids[1]};
    }
    case Case::kWorkflow: {
      FLOE_ASSIGN_OR_RETURN(const auto ids,
                            ParseResourceName(subject.workflow(), {"teams", "workflows"}));
      return domain::Subject{.scope = domain::Scope::kWorkflow, .team = ids[0], .id = ids[1]};
    }
    case Case::SUBJECT_NOT_SET:
      return absl::InvalidArgumentError(
          "budget.subject is missing: a tenant, team, key or workflow");
  }
  return absl::InvalidArgumentError(
      "budget.subject: a tenant or team is an id, 1 to 63 of a-z 0-9 - _ .");
}

absl::StatusOr<domain::Budget> FromProto(const v1::CreateBudgetRequest& request) {
  if (!IsResourceId(request.budget_id())) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget_id is \"", request.budget_id(), "\"; write 1 to 63 of a-z 0-9 - _ ."));
  }
  domain::Budget budget{.id = request.budget_id(), .display_name = request.budget().display_name()};
  FLOE_ASSIGN_OR_RETURN(budget.subject, FromProto(request.budget().subject()));
  FLOE_ASSIGN_OR_RETURN(budget.period, PeriodOf(request.budget().period()));
  FLOE_ASSIGN_OR_RETURN(budget.limit, LimitOf(request.budget()));
  return budget;
}

absl::StatusOr<domain::BudgetChange> FromProto(const v1::UpdateBudgetRequest& request) {
  domain::BudgetChange change{.etag = request.budget().etag()};
  const auto& paths = request.update_mask().paths();
  for (const std::string& path : paths) {
    if (path != "limit" && path != "display_name") {
      return absl::InvalidArgumentError(
          absl::StrCat("update_mask names \"", path, "\"; limit and display_name can be changed"));
    }
  }
  const auto named = [&](const char* path) {
    return paths.empty() || std::find(paths.begin(), paths.end(), path) != paths.end();
  };
  if (named("limit")) {
    FLOE_ASSIGN_OR_RETURN(change.limit, LimitOf(request.budget()));
  }
  if (named("display_name")) change.display_name = request.budget().display_name();
  return change;
}

absl::StatusOr<domain::SliceStore::AcquireRequest> FromProto(
    const v1::AcquireSliceRequest& request) {
  domain::SliceStore::AcquireRequest out{.gateway = request.gateway(),
                                         .lease = FromProto(request.lease()),
                                         .request_id = request.request_id()};
  FLOE_ASSIGN_OR_RETURN(out.budget, BudgetId(request.budget()));
  FLOE_ASSIGN_OR_RETURN(out.amount, FromProto(request.amount(), "amount"));
  out.minimum = out.amount;
  if (request.has_minimum()) {
    FLOE_ASSIGN_OR_RETURN(out.minimum, FromProto(request.minimum(), "minimum"));
  }
  if (out.gateway.empty()) return absl::InvalidArgumentError("gateway is missing");
  return out;
}

v1::Budget ToProto(const domain::BudgetView& view) {
  const domain::Budget& budget = view.budget;
  v1::Budget out;
  out.set_name(absl::StrCat("budgets/", budget.id));
  out.set_display_name(budget.display_name);
  *out.mutable_subject() = SubjectToProto(budget.subject);
  out.set_period(PeriodToProto(budget.period));
  *out.mutable_limit() = ToProto(budget.limit);
  *out.mutable_period_start() = ToProto(view.state.bounds.start);
  if (view.state.bounds.end != absl::InfiniteFuture()) {
    *out.mutable_period_end() = ToProto(view.state.bounds.end);
  }
  *out.mutable_spent() = ToProto(view.state.spent);
  *out.mutable_held() = ToProto(view.state.held);
  out.set_etag(budget.etag);
  *out.mutable_create_time() = ToProto(budget.create_time);
  out.set_creator(budget.creator);
  out.set_creator_team(budget.creator_team);
  return out;
}

absl::StatusOr<v1::Slice> ToProto(const domain::Slice& slice, absl::Time now) {
  FLOE_ASSIGN_OR_RETURN(const domain::Money held, HeldBy(slice));
  v1::Slice out;
  out.set_name(slice.id);
  out.set_gateway(slice.gateway);
  *out.mutable_amount() = ToProto(slice.amount);
  *out.mutable_settled() = ToProto(slice.settled);
  *out.mutable_held() = ToProto(held);
  *out.mutable_period_start() = ToProto(slice.period_start);
  *out.mutable_expire_time() = ToProto(slice.expire_time);
  out.set_state(StateOf(slice, held, now));
  out.set_reason(slice.reason);
  return out;
}

}  // namespace floe::services::billing
