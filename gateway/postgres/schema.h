// The gateway's database schema, brought up to date at start.
#pragma once

#include "absl/status/status.h"

#include "base/postgres/pool.h"

namespace floe::gateway {

// Creates the schema `gateway` and applies what is missing (base/postgres/migrations.h).
absl::Status MigrateSchema(postgres::Pool& pool);

}  // namespace floe::gateway
