#include "gateway/postgres/schema.h"

#include "base/postgres/migrations.h"
#include "gateway/postgres/migrations_sql.h"

namespace floe::gateway {

absl::Status MigrateSchema(postgres::Pool& pool) {
  return postgres::Migrate(pool, "gateway", Migrations());
}

}  // namespace floe::gateway
