#include "billing/postgres/budget_rows.h"

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kFind[] = "SELECT " FLOE_BUDGET_COLUMNS
                         " FROM billing.budget WHERE id = $1 AND delete_time IS NULL"
                         " AND ($2 = '' OR (scope <> 'tenant' AND team = $2))";
constexpr char kMakePeriod[] =
    "INSERT INTO billing.budget_period (budget_id, period_start) VALUES ($1, $2)"
    " ON CONFLICT DO NOTHING";
constexpr char kLockPeriod[] =
    "SELECT spent::text FROM billing.budget_period"
    " WHERE budget_id = $1 AND period_start = $2 FOR UPDATE";
constexpr char kReadPeriod[] =
    "SELECT spent::text FROM billing.budget_period WHERE budget_id = $1 AND period_start = $2";
constexpr char kHeld[] =
    "SELECT coalesce(sum(held), 0)::text FROM billing.budget_slice"
    " WHERE budget_id = $1 AND period_start = $2 AND held > 0";

absl::StatusOr<BudgetState> State(pqxx::transaction_base& sql, const std::string& budget,
                                  const PeriodBounds& bounds, const pqxx::result& period) {
  BudgetState state{.bounds = bounds};
  if (!period.empty()) {
    FLOE_ASSIGN_OR_RETURN(state.spent, MoneyOf(period[0][0]));
  }
  const auto held = sql.exec_params1(kHeld, budget, SqlTime(bounds.start));
  FLOE_ASSIGN_OR_RETURN(state.held, MoneyOf(held[0]));
  return state;
}

}  // namespace

absl::StatusOr<Budget> ReadBudget(const pqxx::row& row) {
  Budget budget{.id = row[0].c_str(), .display_name = row[1].c_str()};
  FLOE_ASSIGN_OR_RETURN(budget.subject.scope, ParseScope(row[2].c_str()));
  budget.subject.tenant = row[3].c_str();
  budget.subject.team = row[4].c_str();
  budget.subject.id = row[5].c_str();
  FLOE_ASSIGN_OR_RETURN(budget.period, ParsePeriod(row[6].c_str()));
  FLOE_ASSIGN_OR_RETURN(budget.limit, MoneyOf(row[7]));
  budget.etag = row[8].c_str();
  budget.create_time = TimeOf(row[9]);
  budget.creator = row[10].c_str();
  budget.creator_team = row[11].c_str();
  return budget;
}

absl::StatusOr<Slice> ReadSlice(const pqxx::row& row) {
  Slice slice{.id = row[0].c_str(), .budget = row[1].c_str(), .gateway = row[2].c_str()};
  slice.period_start = TimeOf(row[3]);
  FLOE_ASSIGN_OR_RETURN(slice.amount, MoneyOf(row[4]));
  FLOE_ASSIGN_OR_RETURN(slice.settled, MoneyOf(row[5]));
  FLOE_ASSIGN_OR_RETURN(slice.spent, MoneyOf(row[6]));
  slice.expire_time = TimeOf(row[7]);
  FLOE_ASSIGN_OR_RETURN(slice.state, ParseSliceState(row[8].c_str()));
  slice.reason = row[9].c_str();
  return slice;
}

absl::StatusOr<Budget> FindBudget(pqxx::transaction_base& sql, std::string_view team,
                                  std::string_view id) {
  const auto found = sql.exec_params(kFind, std::string(id), std::string(team));
  if (!found.empty()) return ReadBudget(found[0]);
  return WithReason(
      absl::NotFoundError(absl::StrCat("no budget \"", AbslView(id.substr(0, 100)), "\"")),
      "BUDGET_NOT_FOUND", {{"budget", std::string(id.substr(0, 100))}});
}

absl::StatusOr<BudgetState> ReadState(pqxx::transaction_base& sql, std::string_view budget,
                                      const PeriodBounds& bounds) {
  const std::string id(budget);
  return State(sql, id, bounds, sql.exec_params(kReadPeriod, id, SqlTime(bounds.start)));
}

absl::StatusOr<BudgetState> LockState(pqxx::transaction_base& sql, std::string_view budget,
                                      const PeriodBounds& bounds) {
  const std::string id(budget);
  sql.exec_params0(kMakePeriod, id, SqlTime(bounds.start));
  return State(sql, id, bounds, sql.exec_params(kLockPeriod, id, SqlTime(bounds.start)));
}

}  // namespace floe::billing
