// What attempts used and nobody accounted for yet, in Postgres.
#pragma once

#include <memory>
#include <string>

#include "base/postgres/pool.h"
#include "jobs/usage.h"

namespace floe::jobs {

// In the schema of a queue that MigrateQueue brought up to date. A delivery is one transaction: a
// connection is held while it is sent. Borrows the pool.
std::unique_ptr<UsageOutbox> MakePostgresUsageOutbox(postgres::Pool& pool, std::string schema);

}  // namespace floe::jobs
