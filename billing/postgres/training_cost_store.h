// Training costs in Postgres.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`.
class PostgresTrainingCostStore final : public TrainingCostStore {
 public:
  explicit PostgresTrainingCostStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<TrainingCost> Insert(const TrainingCost& cost, const RequestKey& request) override;
  absl::StatusOr<std::vector<TrainingCost>> List(std::string_view team, absl::Time until) override;
  absl::StatusOr<std::vector<VersionUse>> Uses(std::string_view team, absl::Time until) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::billing
