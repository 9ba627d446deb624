// Budgets and slices as rows; shared by the two stores.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/budget.h"
#include "billing/ports.h"

namespace pqxx {
class row;
class transaction_base;
}  // namespace pqxx

namespace floe::billing {

// The columns that ReadBudget and ReadSlice take, in their order.
#define FLOE_BUDGET_COLUMNS                                                               \
  "id, display_name, scope, tenant, team, subject_id, period, limit_amount::text, etag, " \
  "(extract(epoch FROM create_time) * 1000000)::bigint, creator, creator_team"
#define FLOE_SLICE_COLUMNS                                                         \
  "id, budget_id, gateway, (extract(epoch FROM period_start) * 1000000)::bigint, " \
  "amount::text, settled::text, spent::text, "                                     \
  "(extract(epoch FROM expire_time) * 1000000)::bigint, state, reason"

absl::StatusOr<Budget> ReadBudget(const pqxx::row& row);
absl::StatusOr<Slice> ReadSlice(const pqxx::row& row);

// NOT_FOUND, BUDGET_NOT_FOUND, also for another team's and for a deleted one.
absl::StatusOr<Budget> FindBudget(pqxx::transaction_base& sql, std::string_view team,
                                  std::string_view id);

// What is spent and held in the period with these bounds.
absl::StatusOr<BudgetState> ReadState(pqxx::transaction_base& sql, std::string_view budget,
                                      const PeriodBounds& bounds);
// The same, with the period locked until the transaction ends: nobody else gives slices of it out.
absl::StatusOr<BudgetState> LockState(pqxx::transaction_base& sql, std::string_view budget,
                                      const PeriodBounds& bounds);

}  // namespace floe::billing
