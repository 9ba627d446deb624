#include "jobs/postgres/runner_store.h"

#include <utility>

#include "nlohmann/json.hpp"
#include <pqxx/pqxx>

#include "jobs/postgres/in_schema.h"
#include "jobs/postgres/rows.h"

namespace floe::jobs {
namespace {

constexpr char kNote[] =
    "INSERT INTO runners (name, kinds, memory_bytes, seen_time)"
    " VALUES ($1, ARRAY(SELECT json_array_elements_text($2::json)), $3, $4)"
    " ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds,"
    " memory_bytes = excluded.memory_bytes, seen_time = excluded.seen_time";
// A runner at work asks for none, and is there all the same.
constexpr char kForget[] =
    "DELETE FROM runners WHERE seen_time < $1 AND NOT EXISTS"
    " (SELECT FROM jobs WHERE runner = runners.name AND lease_expire_time IS NOT NULL)";
constexpr char kOfKind[] =
    "SELECT count(*), count(*) FILTER (WHERE memory_bytes = 0), coalesce(max(memory_bytes), 0) "
    "FROM runners WHERE $1 = ANY (kinds)"
    " AND (seen_time >= $2 OR EXISTS"
    " (SELECT FROM jobs WHERE runner = runners.name AND lease_expire_time IS NOT NULL))";

class PostgresRunnerStore final : public RunnerStore {
 public:
  PostgresRunnerStore(postgres::Pool& pool, std::string schema)
      : pool_(pool), schema_(std::move(schema)) {}

  absl::Status Note(const Runner& runner, absl::Time now) override {
    return InSchema(pool_, schema_, [&](pqxx::transaction_base& sql) -> absl::Status {
      sql.exec_params(kNote, runner.name, nlohmann::json(runner.kinds).dump(), runner.memory_bytes,
                      Timestamp(now));
      sql.exec_params(kForget, Timestamp(now - kRunnerForgotten));
      return absl::OkStatus();
    });
  }

  absl::StatusOr<RunnersOfKind> OfKind(const std::string& kind, absl::Time now) override {
    return InSchema(
        pool_, schema_, [&](pqxx::transaction_base& sql) -> absl::StatusOr<RunnersOfKind> {
          const pqxx::row row = sql.exec_params1(kOfKind, kind, Timestamp(now - kRunnerForgotten));
          return RunnersOfKind{row[0].as<int64_t>(), row[1].as<int64_t>(), row[2].as<int64_t>()};
        });
  }

 private:
  postgres::Pool& pool_;
  const std::string schema_;
};

}  // namespace

std::unique_ptr<RunnerStore> MakePostgresRunnerStore(postgres::Pool& pool, std::string schema) {
  return std::make_unique<PostgresRunnerStore>(pool, std::move(schema));
}

}  // namespace floe::jobs
