// The database follows the program: numbered SQL files, embedded in the library that needs them by
// floe_embed_sql() (cmake/embed_sql.cmake), applied in order, only ever forward.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"

#include "base/postgres/pool.h"

namespace floe::postgres {

// One file `migrations/NNNN_name.sql`. Both views are of static storage.
struct Migration {
  int number = 0;
  std::string_view name;
  std::string_view sql;
};

// Creates `schema` and applies what is missing, all in one transaction under an advisory lock: any
// number of processes may start at once, and a failure leaves the database as it was. Each file is
// recorded with its SHA-256 in `<schema>.schema_migrations`. FAILED_PRECONDITION
// (MIGRATION_CHANGED) when a file that was applied has other bytes now: add a new file instead.
// Files that the database knows and the program does not are a newer program's, and fine. A file's
// unqualified names are those of the schema; files run without a statement timeout.
absl::Status Migrate(Pool& pool, std::string_view schema, std::span<const Migration> migrations);

}  // namespace floe::postgres
