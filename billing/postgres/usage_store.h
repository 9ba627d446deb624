// Events, attempts and their ledger entries in Postgres.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`, whose database has the schema of Migrations(). All events of a
// call, with their ledger entries, go in by one statement.
class PostgresUsageStore final : public UsageStore {
 public:
  explicit PostgresUsageStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<IngestResult>> Append(const std::vector<RatedEvent>& events) override;
  absl::StatusOr<std::vector<RatedEvent>> Parked(std::string_view after, int limit) override;
  absl::StatusOr<int64_t> AppendAttempts(const std::vector<Attempt>& attempts) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::billing
