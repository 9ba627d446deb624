// The runners of a queue in Postgres.
#pragma once

#include <memory>
#include <string>

#include "base/postgres/pool.h"
#include "jobs/runners.h"

namespace floe::jobs {

// In the schema of a queue that MigrateQueue brought up to date. Borrows the pool.
std::unique_ptr<RunnerStore> MakePostgresRunnerStore(postgres::Pool& pool, std::string schema);

}  // namespace floe::jobs
