#include "billing/postgres/settlement.h"

#include <map>
#include <set>

#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "billing/budget.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kBudgets[] =
    "SELECT id, subject, period FROM billing.budget"
    " WHERE delete_time IS NULL AND subject = ANY ($1::text[])";
// In one order for everybody, so that two calls never wait for one another.
constexpr char kSpend[] =
    "INSERT INTO billing.budget_period AS p (budget_id, period_start, spent)"
    " SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::numeric[]) ORDER BY 1, 2"
    " ON CONFLICT (budget_id, period_start) DO UPDATE SET spent = p.spent + EXCLUDED.spent";
constexpr char kSettle[] =
    "UPDATE billing.budget_slice s SET settled = s.settled + u.amount"
    " FROM unnest($1::text[], $2::numeric[]) AS u (id, amount) WHERE s.id = u.id";

std::vector<std::string> Subjects(const UsageEvent& event) {
  return SubjectKeysOf(event.tenant, event.team, event.key, event.workflow_id);
}

struct Bound {
  std::string budget;
  Period period = Period::kMonth;
};

absl::StatusOr<std::multimap<std::string, Bound>> FindBudgets(
    pqxx::transaction_base& sql, const std::vector<const RatedEvent*>& charged) {
  std::set<std::string> subjects;
  for (const RatedEvent* rated : charged) {
    for (std::string& subject : Subjects(rated->event)) subjects.insert(std::move(subject));
  }
  std::multimap<std::string, Bound> budgets;
  const std::vector<std::string> keys(subjects.begin(), subjects.end());
  for (const auto& row : sql.exec_params(kBudgets, SqlArray(keys))) {
    FLOE_ASSIGN_OR_RETURN(const Period period, ParsePeriod(row[2].c_str()));
    budgets.emplace(row[1].c_str(), Bound{row[0].c_str(), period});
  }
  return budgets;
}

absl::Status Spend(pqxx::transaction_base& sql, const std::vector<const RatedEvent*>& charged) {
  FLOE_ASSIGN_OR_RETURN(const auto budgets, FindBudgets(sql, charged));
  if (budgets.empty()) return absl::OkStatus();
  std::map<std::pair<std::string, absl::Time>, Money> spent;
  for (const RatedEvent* rated : charged) {
    FLOE_ASSIGN_OR_RETURN(const Money net, Subtract(rated->charge.total, rated->credit));
    for (const std::string& subject : Subjects(rated->event)) {
      const auto [begin, end] = budgets.equal_range(subject);
      for (auto bound = begin; bound != end; ++bound) {
        Money& sum =
            spent[{bound->second.budget, BoundsOf(bound->second.period, rated->event.time).start}];
        FLOE_ASSIGN_OR_RETURN(sum, Add(sum, net));
      }
    }
  }
  std::vector<std::string> ids, starts, amounts;
  for (const auto& [key, amount] : spent) {
    ids.push_back(key.first);
    starts.push_back(SqlTime(key.second));
    amounts.push_back(amount.ToString());
  }
  sql.exec_params0(kSpend, SqlArray(ids), SqlArray(starts), SqlArray(amounts));
  return absl::OkStatus();
}

}  // namespace

absl::Status Settle(pqxx::transaction_base& sql, const std::vector<const RatedEvent*>& charged) {
  if (charged.empty()) return absl::OkStatus();
  FLOE_RETURN_IF_ERROR(Spend(sql, charged));
  std::map<std::string, Money> settled;
  for (const RatedEvent* rated : charged) {
    for (const std::string& slice : rated->event.slices) {
      FLOE_ASSIGN_OR_RETURN(settled[slice], Add(settled[slice], rated->charge.total));
    }
  }
  if (settled.empty()) return absl::OkStatus();
  std::vector<std::string> ids, amounts;
  for (const auto& [id, amount] : settled) {
    ids.push_back(id);
    amounts.push_back(amount.ToString());
  }
  sql.exec_params0(kSettle, SqlArray(ids), SqlArray(amounts));
  return absl::OkStatus();
}

}  // namespace floe::billing
