// The queue in Postgres.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "base/postgres/pool.h"
#include "jobs/ports.h"

namespace floe::jobs {

// Brings the queue's tables in `schema` up to date. A schema holds one queue.
absl::Status MigrateQueue(postgres::Pool& pool, const std::string& schema);

// The queue whose tables stand in `schema`. Borrows the pool.
std::unique_ptr<JobQueue> MakePostgresQueue(postgres::Pool& pool, std::string schema);

}  // namespace floe::jobs
