// Budgets in Postgres.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows its parts.
class PostgresBudgetStore final : public BudgetStore {
 public:
  PostgresBudgetStore(postgres::Pool& pool, const Clock& clock, IdGenerator& ids)
      : pool_(pool), clock_(clock), ids_(ids) {}

  absl::StatusOr<BudgetView> Create(const Budget& budget, const RequestKey& request) override;
  absl::StatusOr<BudgetView> Get(std::string_view team, std::string_view id) override;
  absl::StatusOr<std::vector<BudgetView>> List(std::string_view team, int limit,
                                               int64_t offset) override;
  absl::StatusOr<std::vector<BudgetView>> Applicable(
      const std::vector<std::string>& subject_keys) override;
  absl::StatusOr<BudgetView> Update(std::string_view team, std::string_view id,
                                    const BudgetChange& change) override;
  absl::Status Delete(std::string_view team, std::string_view id) override;

 private:
  postgres::Pool& pool_;
  const Clock& clock_;
  IdGenerator& ids_;
};

}  // namespace floe::billing
