#include "jobs/postgres/queue.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "jobs/postgres/event_json.h"
#include "jobs/postgres/history.h"
#include "jobs/postgres/in_schema.h"
#include "jobs/postgres/migrations_sql.h"
#include "jobs/postgres/rows.h"

namespace floe::jobs {
namespace {

constexpr char kInsert[] =
    "INSERT INTO jobs (id, team, kind, spec, state, max_attempts, creator, request_id, create_time,"
    " due_time, last_sequence, reported_sequence, priority, memory_bytes)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    " ON CONFLICT (team, request_id) WHERE request_id <> '' DO NOTHING";
constexpr char kByRequest[] = "SELECT " FLOE_JOB_COLUMNS
                              " FROM jobs WHERE team = $1 AND request_id = $2 AND request_id <> ''";
constexpr char kGet[] = "SELECT " FLOE_JOB_COLUMNS " FROM jobs WHERE team = $1 AND id = $2";
constexpr char kLock[] =
    "SELECT " FLOE_JOB_COLUMNS " FROM jobs WHERE team = $1 AND id = $2 FOR UPDATE";
constexpr char kList[] = "SELECT " FLOE_JOB_COLUMNS
                         " FROM jobs WHERE team = $1 AND ($2 = '' OR id < $2)"
                         " ORDER BY id DESC LIMIT $3";
constexpr char kNext[] = "SELECT " FLOE_JOB_COLUMNS
                         " FROM jobs WHERE state = 'QUEUED' AND due_time <= $2"
                         " AND kind = ANY (ARRAY(SELECT json_array_elements_text($1::json)))"
                         " AND (coalesce(($4::json ->> team)::integer, $3) = 0"
                         " OR (SELECT count(*) FROM jobs held"
                         " WHERE held.team = jobs.team AND held.lease_expire_time IS NOT NULL)"
                         " < coalesce(($4::json ->> team)::integer, $3))"
                         " AND ($5::bigint = 0 OR memory_bytes <= $5)"
                         " ORDER BY -priority, due_time, id LIMIT 1 FOR UPDATE SKIP LOCKED";
constexpr char kWaiting[] =
    "SELECT count(*) FROM jobs WHERE team = $1 AND state IN ('QUEUED', 'PAUSED')";
constexpr char kHeld[] =
    "SELECT count(*) FROM jobs WHERE team = $1 AND lease_expire_time IS NOT NULL";
constexpr char kExpired[] = "SELECT " FLOE_JOB_COLUMNS
                            " FROM jobs WHERE state IN ('RUNNING', 'CANCELLING', 'PAUSING')"
                            " AND lease_expire_time <= $1"
                            " ORDER BY lease_expire_time LIMIT 100 FOR UPDATE SKIP LOCKED";
constexpr char kSave[] =
    "UPDATE jobs SET state = $2, attempt = $3, handed_back = $4, error = $5, result = $6,"
    " progress = $7, start_time = $8, end_time = $9, due_time = $10, runner = $11,"
    " lease_expire_time = $12, finished_attempt = $13, last_sequence = $14,"
    " reported_sequence = $15 WHERE id = $1";
constexpr char kCount[] =
    "SELECT state, count(*) FROM jobs WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')"
    " GROUP BY state";

// One at a time by name: two that count at once would both find room for one.
constexpr char kTakeTurns[] = "SELECT pg_advisory_xact_lock(hashtext($1::text))";

using Sql = pqxx::transaction_base;

void Save(Sql& sql, const Change& change) {
  const Job& job = change.job;
  std::optional<std::string> progress;
  if (job.progress) progress = ProgressToJson(*job.progress);
  const auto start = OptionalTimestamp(job.start_time);
  const auto end = OptionalTimestamp(job.end_time);
  const auto expire = OptionalTimestamp(job.lease_expire);
  sql.exec_params(kSave, job.id, std::string(StateName(job.state)), job.attempt, job.handed_back,
                  job.error, job.result, OrNull(progress), OrNull(start), OrNull(end),
                  Timestamp(job.due_time), job.runner, OrNull(expire), job.finished_attempt,
                  job.last_sequence, job.reported_sequence);
  AppendHistory(sql, change);
}

absl::Status NotFound(const std::string& team, const std::string& id) {
  return WithReason(absl::NotFoundError(absl::StrCat("there is no job teams/", team, "/jobs/", id)),
                    "JOB_NOT_FOUND", {{"job", absl::StrCat("teams/", team, "/jobs/", id)}});
}

absl::StatusOr<std::optional<Job>> ByRequest(Sql& sql, const std::string& team,
                                             const std::string& request_id) {
  const pqxx::result rows = sql.exec_params(kByRequest, team, request_id);
  if (rows.empty()) return std::nullopt;
  return JobFromRow(rows[0]);
}

class PostgresQueue final : public JobQueue {
  // (In front of its uses: its type is deduced.)
  template <typename Fn>
  auto In(Fn&& fn) {
    return InSchema(pool_, schema_, std::forward<Fn>(fn));
  }

 public:
  PostgresQueue(postgres::Pool& pool, std::string schema)
      : pool_(pool), schema_(std::move(schema)) {}

  absl::StatusOr<Job> Insert(const Change& submitted, const TeamLimits& waiting) override {
    return In([&](Sql& sql) -> absl::StatusOr<Job> {
      const Job& job = submitted.job;
      if (waiting.Of(job.team) > 0) {
        sql.exec_params(kTakeTurns, absl::StrCat(job.team, "'s waiting jobs of ", schema_));
        FLOE_ASSIGN_OR_RETURN(auto first, ByRequest(sql, job.team, job.request_id));
        if (first) return *std::move(first);
        FLOE_RETURN_IF_ERROR(
            CheckRoom(waiting, job.team, sql.exec_params1(kWaiting, job.team)[0].as<int>()));
      }
      const pqxx::result inserted =
          sql.exec_params(kInsert, job.id, job.team, job.kind, job.spec,
                          std::string(StateName(job.state)), job.max_attempts, job.creator,
                          job.request_id, Timestamp(job.create_time), Timestamp(job.due_time),
                          job.last_sequence, job.reported_sequence, job.priority, job.memory_bytes);
      if (inserted.affected_rows() == 1) {
        AppendHistory(sql, submitted);
        return JobFromRow(sql.exec_params(kGet, job.team, job.id)[0]);
      }
      FLOE_ASSIGN_OR_RETURN(auto first, ByRequest(sql, job.team, job.request_id));
      if (!first) return absl::InternalError("a job of the same request id came and went");
      return *std::move(first);
    });
  }

  absl::StatusOr<std::optional<Job>> FindRequest(const std::string& team,
                                                 const std::string& request_id) override {
    return In([&](Sql& sql) { return ByRequest(sql, team, request_id); });
  }

  absl::StatusOr<Job> Get(const std::string& team, const std::string& id) override {
    return In([&](Sql& sql) -> absl::StatusOr<Job> {
      const pqxx::result rows = sql.exec_params(kGet, team, id);
      if (rows.empty()) return NotFound(team, id);
      return JobFromRow(rows[0]);
    });
  }

  absl::StatusOr<JobPage> List(const std::string& team, const std::string& before_id,
                               int limit) override {
    return In([&](Sql& sql) -> absl::StatusOr<JobPage> {
      JobPage page;
      for (const pqxx::row& row : sql.exec_params(kList, team, before_id, limit + 1)) {
        if (static_cast<int>(page.jobs.size()) == limit) {
          page.more = true;
          break;
        }
        FLOE_ASSIGN_OR_RETURN(Job job, JobFromRow(row));
        page.jobs.push_back(std::move(job));
      }
      return page;
    });
  }

  absl::StatusOr<std::vector<Event>> Events(const std::string& id, int64_t after_sequence,
                                            int limit) override {
    return In([&](Sql& sql) { return ReadEvents(sql, id, after_sequence, limit); });
  }

  absl::StatusOr<std::vector<StepMetrics>> Metrics(const std::string& id, int64_t after_step,
                                                   int limit) override {
    return In([&](Sql& sql) { return ReadMetrics(sql, id, after_step, limit); });
  }

  absl::StatusOr<std::vector<Attempt>> Attempts(const std::string& id) override {
    return In([&](Sql& sql) { return ReadAttempts(sql, id); });
  }

  absl::StatusOr<Job> Update(const std::string& team, const std::string& id,
                             Transition transition) override {
    return In([&](Sql& sql) -> absl::StatusOr<Job> {
      const pqxx::result rows = sql.exec_params(kLock, team, id);
      if (rows.empty()) return NotFound(team, id);
      FLOE_ASSIGN_OR_RETURN(Job job, JobFromRow(rows[0]));
      FLOE_ASSIGN_OR_RETURN(Change change, transition(std::move(job)));
      Save(sql, change);
      return std::move(change.job);
    });
  }

  absl::StatusOr<std::optional<Job>> TakeNext(const Wanted& wanted,
                                              CertainTransition transition) override {
    return In([&](Sql& sql) -> absl::StatusOr<std::optional<Job>> {
      const TeamLimits& limits = wanted.limits;
      if (limits.usual > 0 || !limits.exceptions.empty()) {
        sql.exec_params(kTakeTurns, "jobs of " + schema_);
      }
      const pqxx::result rows = sql.exec_params(
          kNext, nlohmann::json(wanted.kinds).dump(), Timestamp(wanted.now), limits.usual,
          nlohmann::json(limits.exceptions).dump(), wanted.memory_bytes);
      if (rows.empty()) return std::nullopt;
      FLOE_ASSIGN_OR_RETURN(Job job, JobFromRow(rows[0]));
      Change change = transition(std::move(job));
      Save(sql, change);
      return std::move(change.job);
    });
  }

  absl::StatusOr<std::vector<Job>> UpdateExpired(absl::Time now,
                                                 CertainTransition transition) override {
    return In([&](Sql& sql) -> absl::StatusOr<std::vector<Job>> {
      std::vector<Job> changed;
      for (const pqxx::row& row : sql.exec_params(kExpired, Timestamp(now))) {
        FLOE_ASSIGN_OR_RETURN(Job job, JobFromRow(row));
        Change change = transition(std::move(job));
        Save(sql, change);
        changed.push_back(std::move(change.job));
      }
      return changed;
    });
  }

  absl::StatusOr<int> CountHeld(const std::string& team) override {
    return In([&](Sql& sql) -> absl::StatusOr<int> {
      return sql.exec_params1(kHeld, team)[0].as<int>();
    });
  }

  absl::StatusOr<std::map<State, int64_t>> CountOpen() override {
    return In([&](Sql& sql) -> absl::StatusOr<std::map<State, int64_t>> {
      std::map<State, int64_t> counts;
      for (const pqxx::row& row : sql.exec(kCount)) {
        if (const auto state = StateFromName(row[0].as<std::string>())) {
          counts[*state] = row[1].as<int64_t>();
        }
      }
      return counts;
    });
  }

 private:
  postgres::Pool& pool_;
  const std::string schema_;
};

}  // namespace

absl::Status MigrateQueue(postgres::Pool& pool, const std::string& schema) {
  return postgres::Migrate(pool, schema, Migrations());
}

std::unique_ptr<JobQueue> MakePostgresQueue(postgres::Pool& pool, std::string schema) {
  return std::make_unique<PostgresQueue>(pool, std::move(schema));
}

}  // namespace floe::jobs
