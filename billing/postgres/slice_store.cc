#include "billing/postgres/slice_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "billing/postgres/budget_rows.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kInsert[] =
    "INSERT INTO billing.budget_slice (id, budget_id, gateway, period_start, amount, expire_time,"
    " state, request_id) VALUES ($1, $2, $3, $4, $5, $6, 'open', $7)";
constexpr char kByRequest[] =
    "SELECT " FLOE_SLICE_COLUMNS " FROM billing.budget_slice WHERE request_id = $1";
constexpr char kGet[] = "SELECT " FLOE_SLICE_COLUMNS " FROM billing.budget_slice WHERE id = $1";
constexpr char kLock[] =
    "SELECT " FLOE_SLICE_COLUMNS " FROM billing.budget_slice WHERE id = $1 FOR UPDATE";
constexpr char kRenew[] =
    "UPDATE billing.budget_slice SET expire_time = $2, amount = $3 WHERE id = $1";
constexpr char kReturn[] =
    "UPDATE billing.budget_slice SET state = 'returned', spent = $2 WHERE id = $1";
constexpr char kWriteOff[] =
    "UPDATE billing.budget_slice SET state = 'written_off', reason = $2 WHERE id = $1";
constexpr char kList[] = "SELECT " FLOE_SLICE_COLUMNS
                         " FROM billing.budget_slice WHERE budget_id = $1 AND (NOT $2 OR held > 0)"
                         " ORDER BY create_time DESC, id DESC LIMIT $3 OFFSET $4";
constexpr char kBudgetOf[] = "SELECT " FLOE_BUDGET_COLUMNS " FROM billing.budget WHERE id = $1";

absl::StatusOr<Slice> Find(const pqxx::result& rows, std::string_view id) {
  if (!rows.empty()) return ReadSlice(rows[0]);
  return WithReason(
      absl::NotFoundError(absl::StrCat("no slice \"", AbslView(id.substr(0, 200)), "\"")),
      "SLICE_NOT_FOUND");
}

// A slice with its budget's period locked, then itself: the order of every writer.
struct Held {
  Slice slice;
  Budget budget;
  BudgetState state;
};
absl::StatusOr<Held> Lock(pqxx::transaction_base& sql, const std::string& id) {
  Held held;
  FLOE_ASSIGN_OR_RETURN(held.slice, Find(sql.exec_params(kGet, id), id));
  // Also of a deleted budget: its slices still come back.
  FLOE_ASSIGN_OR_RETURN(held.budget, ReadBudget(sql.exec_params1(kBudgetOf, held.slice.budget)));
  const PeriodBounds bounds = BoundsOf(held.budget.period, held.slice.period_start);
  FLOE_ASSIGN_OR_RETURN(held.state, LockState(sql, held.slice.budget, bounds));
  FLOE_ASSIGN_OR_RETURN(held.slice, Find(sql.exec_params(kLock, id), id));
  return held;
}

absl::Status CheckOpen(const Slice& slice) {
  if (slice.state == SliceState::kOpen) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "slice ", slice.id, " was ",
                        slice.state == SliceState::kReturned ? "returned" : "written off",
                        "; acquire a new one")),
                    "SLICE_CLOSED", {{"slice", slice.id}});
}

}  // namespace

absl::StatusOr<Slice> PostgresSliceStore::Acquire(const AcquireRequest& request) {
  const absl::Time now = clock_.Now();
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Slice> {
    FLOE_ASSIGN_OR_RETURN(const Budget budget, FindBudget(sql, "", request.budget));
    const PeriodBounds bounds = BoundsOf(budget.period, now);
    FLOE_ASSIGN_OR_RETURN(const BudgetState state, LockState(sql, budget.id, bounds));
    if (!request.request_id.empty()) {
      const auto first = sql.exec_params(kByRequest, request.request_id);
      if (!first.empty()) return ReadSlice(first[0]);
    }
    FLOE_ASSIGN_OR_RETURN(const Money amount,
                          Grant(budget, state, request.amount, request.minimum));
    const std::string id = absl::StrCat("budgets/", budget.id, "/slices/", ids_.Next());
    sql.exec_params0(kInsert, id, budget.id, request.gateway, SqlTime(bounds.start),
                     amount.ToString(), SqlTime(LeaseEnd(bounds, now, request.lease)),
                     OrNull(request.request_id));
    return Find(sql.exec_params(kGet, id), id);
  });
}

absl::StatusOr<Slice> PostgresSliceStore::Renew(std::string_view id, absl::Duration lease,
                                                Money additional) {
  if (additional < Money()) return absl::InvalidArgumentError("additional must not be negative");
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Slice> {
    const std::string name(id);
    FLOE_ASSIGN_OR_RETURN(const Held held, Lock(sql, name));
    FLOE_RETURN_IF_ERROR(CheckOpen(held.slice));
    FLOE_ASSIGN_OR_RETURN(const Money free, Free(held.budget.limit, held.state));
    FLOE_ASSIGN_OR_RETURN(const Money amount, Add(held.slice.amount, std::min(additional, free)));
    sql.exec_params0(kRenew, name, SqlTime(LeaseEnd(held.state.bounds, clock_.Now(), lease)),
                     amount.ToString());
    return Find(sql.exec_params(kGet, name), name);
  });
}

absl::StatusOr<Slice> PostgresSliceStore::Return(std::string_view id, Money spent) {
  if (spent < Money()) return absl::InvalidArgumentError("spent must not be negative");
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Slice> {
    const std::string name(id);
    FLOE_ASSIGN_OR_RETURN(const Held held, Lock(sql, name));
    // A second return may correct the first: a journal that was replayed knows better.
    if (held.slice.state == SliceState::kWrittenOff) return held.slice;
    sql.exec_params0(kReturn, name, spent.ToString());
    return Find(sql.exec_params(kGet, name), name);
  });
}

absl::StatusOr<Slice> PostgresSliceStore::WriteOff(std::string_view id, std::string_view reason) {
  if (reason.empty()) {
    return absl::InvalidArgumentError("reason is missing: say why the slice is given up");
  }
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Slice> {
    const std::string name(id);
    FLOE_RETURN_IF_ERROR(Lock(sql, name).status());
    sql.exec_params0(kWriteOff, name, std::string(reason));
    return Find(sql.exec_params(kGet, name), name);
  });
}

absl::StatusOr<std::vector<Slice>> PostgresSliceStore::List(std::string_view budget, bool held_only,
                                                            int limit, int64_t offset) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<Slice>> {
    std::vector<Slice> slices;
    for (const auto& row : sql.exec_params(kList, std::string(budget), held_only, limit, offset)) {
      FLOE_ASSIGN_OR_RETURN(Slice slice, ReadSlice(row));
      slices.push_back(std::move(slice));
    }
    return slices;
  });
}

}  // namespace floe::billing
