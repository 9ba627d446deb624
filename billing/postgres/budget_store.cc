#include "billing/postgres/budget_store.h"

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "billing/postgres/budget_rows.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kInsert[] =
    "INSERT INTO billing.budget (id, display_name, scope, tenant, team, subject_id, subject,"
    " period, limit_amount, etag, create_time, creator, creator_team, request_id, fingerprint)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    " ON CONFLICT DO NOTHING";
constexpr char kByRequest[] =
    "SELECT " FLOE_BUDGET_COLUMNS
    ", fingerprint FROM billing.budget WHERE creator_team = $1 AND request_id = $2";
// What the subject spent in the period before there was a budget.
constexpr char kSpentBefore[] =
    "INSERT INTO billing.budget_period (budget_id, period_start, spent)"
    " SELECT $1, $2::timestamptz, coalesce(sum(charge - credit), 0) FROM billing.usage_event"
    " WHERE occurred_at >= $2::timestamptz AND occurred_at < $3::timestamptz AND CASE $4"
    "   WHEN 'tenant' THEN tenant = $5"
    "   WHEN 'team' THEN team = $6"
    "   WHEN 'key' THEN team = $6 AND key_id = $7"
    "   ELSE team = $6 AND workflow_id = $7 END";
constexpr char kList[] =
    "SELECT " FLOE_BUDGET_COLUMNS
    " FROM billing.budget WHERE delete_time IS NULL"
    " AND ($1 = '' OR (scope <> 'tenant' AND team = $1)) ORDER BY id LIMIT $2 OFFSET $3";
constexpr char kApplicable[] =
    "SELECT " FLOE_BUDGET_COLUMNS
    " FROM billing.budget WHERE delete_time IS NULL AND subject = ANY ($1::text[]) ORDER BY id";
constexpr char kUpdate[] =
    "UPDATE billing.budget SET limit_amount = coalesce($2::numeric, limit_amount),"
    " display_name = coalesce($3, display_name), etag = $4"
    " WHERE id = $1 AND delete_time IS NULL AND ($5 = '' OR etag = $5)";
constexpr char kDelete[] = "UPDATE billing.budget SET delete_time = $2 WHERE id = $1";

absl::StatusOr<BudgetView> View(pqxx::transaction_base& sql, Budget budget, absl::Time now) {
  BudgetView view{.budget = std::move(budget)};
  const PeriodBounds bounds = BoundsOf(view.budget.period, now);
  FLOE_ASSIGN_OR_RETURN(view.state, ReadState(sql, view.budget.id, bounds));
  return view;
}

absl::StatusOr<std::vector<BudgetView>> Views(pqxx::transaction_base& sql, const pqxx::result& rows,
                                              absl::Time now) {
  std::vector<BudgetView> views;
  for (const auto& row : rows) {
    FLOE_ASSIGN_OR_RETURN(Budget budget, ReadBudget(row));
    FLOE_ASSIGN_OR_RETURN(BudgetView view, View(sql, std::move(budget), now));
    views.push_back(std::move(view));
  }
  return views;
}

std::string EndOf(const PeriodBounds& bounds) {
  return bounds.end == absl::InfiniteFuture() ? "infinity" : SqlTime(bounds.end);
}

}  // namespace

absl::StatusOr<BudgetView> PostgresBudgetStore::Create(const Budget& budget,
                                                       const RequestKey& request) {
  const absl::Time now = clock_.Now();
  const Subject& subject = budget.subject;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BudgetView> {
    // Events that are being posted count either here or by seeing the new budget, never both.
    sql.exec(kHoldLedger);
    const auto inserted = sql.exec_params0(
        kInsert, budget.id, budget.display_name, std::string(Name(subject.scope)), subject.tenant,
        subject.team, subject.id, subject.Key(), std::string(Name(budget.period)),
        budget.limit.ToString(), ids_.Next(), SqlTime(now), budget.creator, request.team,
        OrNull(request.id), request.fingerprint);
    if (inserted.affected_rows() == 0) {
      const auto first = sql.exec_params(kByRequest, request.team, OrNull(request.id));
      if (first.empty()) {
        return absl::AlreadyExistsError(
            absl::StrCat("budget ", budget.id, " exists, or did: choose another id"));
      }
      FLOE_RETURN_IF_ERROR(CheckRepeat(request, first[0]["fingerprint"].c_str(), "CreateBudget"));
      FLOE_ASSIGN_OR_RETURN(Budget existing, ReadBudget(first[0]));
      return View(sql, std::move(existing), now);
    }
    const PeriodBounds bounds = BoundsOf(budget.period, now);
    sql.exec_params0(kSpentBefore, budget.id, SqlTime(bounds.start), EndOf(bounds),
                     std::string(Name(subject.scope)), subject.tenant, subject.team, subject.id);
    FLOE_ASSIGN_OR_RETURN(Budget made, FindBudget(sql, "", budget.id));
    return View(sql, std::move(made), now);
  });
}

absl::StatusOr<BudgetView> PostgresBudgetStore::Get(std::string_view team, std::string_view id) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BudgetView> {
    FLOE_ASSIGN_OR_RETURN(Budget budget, FindBudget(sql, team, id));
    return View(sql, std::move(budget), clock_.Now());
  });
}

absl::StatusOr<std::vector<BudgetView>> PostgresBudgetStore::List(std::string_view team, int limit,
                                                                  int64_t offset) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) {
    return Views(sql, sql.exec_params(kList, std::string(team), limit, offset), clock_.Now());
  });
}

absl::StatusOr<std::vector<BudgetView>> PostgresBudgetStore::Applicable(
    const std::vector<std::string>& subject_keys) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) {
    return Views(sql, sql.exec_params(kApplicable, SqlArray(subject_keys)), clock_.Now());
  });
}

absl::StatusOr<BudgetView> PostgresBudgetStore::Update(std::string_view team, std::string_view id,
                                                       const BudgetChange& change) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BudgetView> {
    FLOE_RETURN_IF_ERROR(FindBudget(sql, team, id).status());
    const std::string limit = change.limit ? change.limit->ToString() : "";
    const auto changed = sql.exec_params0(
        kUpdate, std::string(id), OrNull(limit),
        change.display_name ? change.display_name->c_str() : nullptr, ids_.Next(), change.etag);
    if (changed.affected_rows() == 0) {
      return WithReason(absl::AbortedError(absl::StrCat(
                            "budget ", std::string(id),
                            " was changed by somebody else; read it again and repeat the change")),
                        "ETAG_MISMATCH");
    }
    FLOE_ASSIGN_OR_RETURN(Budget budget, FindBudget(sql, team, id));
    return View(sql, std::move(budget), clock_.Now());
  });
}

absl::Status PostgresBudgetStore::Delete(std::string_view team, std::string_view id) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    FLOE_RETURN_IF_ERROR(FindBudget(sql, team, id).status());
    sql.exec_params0(kDelete, std::string(id), SqlTime(clock_.Now()));
    return absl::OkStatus();
  });
}

}  // namespace floe::billing
