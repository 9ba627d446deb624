// What jobs used, in Postgres.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "billing/job_usage.h"
#include "billing/verify.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`.
class PostgresJobUsageStore final : public JobUsageStore {
 public:
  explicit PostgresJobUsageStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<int64_t> Append(const std::vector<JobUsage>& attempts,
                                 const std::vector<JobCount>& counts) override;
  absl::StatusOr<std::vector<JobUsageRow>> Query(std::string_view team, const Interval& interval,
                                                 Rows rows) override;

 private:
  postgres::Pool& pool_;
};

// Into the report: what queues count, what came, and each difference as a fault. Within the
// caller's transaction; pqxx exceptions leave it.
void CheckJobUsage(pqxx::transaction_base& sql, const std::string& team, VerifyReport& report);

}  // namespace floe::billing
