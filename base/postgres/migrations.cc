#include "base/postgres/migrations.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/postgres/status.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::postgres {
namespace {

constexpr char kLock[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('floe.migrations.' || $1, 0))";
constexpr char kHasSchema[] = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
// Within this transaction only: the names below are those of the schema.
constexpr char kUseSchema[] = "SELECT set_config('search_path', quote_ident($1), true)";
constexpr char kCreateRecord[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, name text NOT NULL,"
    " sha256 text NOT NULL, apply_time timestamptz NOT NULL DEFAULT now())";
constexpr char kRecorded[] = "SELECT number, sha256 FROM schema_migrations";
constexpr char kRecord[] =
    "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)";

absl::Status CheckOrder(std::span<const Migration> migrations) {
  int last = 0;
  for (const Migration& migration : migrations) {
    if (migration.number != last + 1) {
      return absl::InternalError(absl::StrCat("migration ", AbslView(migration.name),
                                              " follows number ", last,
                                              "; files are numbered 0001, 0002, ... without gaps"));
    }
    last = migration.number;
  }
  return absl::OkStatus();
}

absl::Status CheckSame(const Migration& migration, std::string_view schema,
                       const std::string& recorded) {
  if (recorded == Sha256::Hex(migration.sql)) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "migration ", AbslView(migration.name), " of schema ", AbslView(schema),
                        " was changed after it had been applied; restore the file and put the "
                        "change into a new one")),
                    "MIGRATION_CHANGED", {{"migration", std::string(migration.name)}});
}

absl::Status Apply(pqxx::transaction_base& sql, const std::string& schema,
                   std::span<const Migration> migrations) {
  sql.exec_params(kLock, schema);
  sql.exec("SET LOCAL statement_timeout = 0");
  sql.exec("SET LOCAL client_min_messages = warning");  // no notices about what exists already
  // Not IF NOT EXISTS: that asks for the right to create schemas even where there is nothing to do,
  // and a service's role may have no more than its own schema.
  if (!sql.exec_params1(kHasSchema, schema)[0].as<bool>()) {
    // A schema's name cannot be a parameter; the connection quotes it.
    sql.exec("CREATE SCHEMA " + sql.quote_name(schema));
  }
  sql.exec_params(kUseSchema, schema);
  sql.exec(kCreateRecord);
  std::map<int, std::string> applied;
  for (const auto& row : sql.exec(kRecorded)) {
    applied[row[0].as<int>()] = row[1].as<std::string>();
  }
  for (const Migration& migration : migrations) {
    const auto found = applied.find(migration.number);
    if (found != applied.end()) {
      FLOE_RETURN_IF_ERROR(CheckSame(migration, schema, found->second));
      continue;
    }
    try {
      sql.exec(std::string(migration.sql));
    } catch (const pqxx::sql_error& error) {
      return StatusFrom(error, absl::StrCat("migration ", AbslView(migration.name)));
    }
    sql.exec_params(kUseSchema, schema);  // should the file have changed it
    sql.exec_params(kRecord, migration.number, std::string(migration.name),
                    Sha256::Hex(migration.sql));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Migrate(Pool& pool, std::string_view schema, std::span<const Migration> migrations) {
  FLOE_RETURN_IF_ERROR(CheckOrder(migrations));
  const std::string name(schema);
  return pool.Run([&](pqxx::transaction_base& sql) { return Apply(sql, name, migrations); });
}

}  // namespace floe::postgres
