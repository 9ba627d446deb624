#include "jobs/postgres/usage_outbox.h"

#include <set>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "jobs/postgres/in_schema.h"
#include "jobs/postgres/rows.h"

namespace floe::jobs {
namespace {

using Sql = pqxx::transaction_base;

// One delivery of a queue at a time: the counts that come with it are to grow in order.
constexpr char kTakeTurn[] = "SELECT pg_try_advisory_xact_lock(hashtext('usage of ' || $1::text))";
#define FLOE_WAITING "end_time IS NOT NULL AND NOT accounted"
constexpr char kTake[] =
    "WITH taken AS (UPDATE job_attempts SET accounted = true WHERE (job, attempt) IN"
    " (SELECT job, attempt FROM job_attempts WHERE " FLOE_WAITING
    " ORDER BY end_time, job, attempt LIMIT $1) RETURNING *)"
    " SELECT a.job, j.team, j.kind, CASE WHEN a.outcome = 'succeeded' THEN j.result ELSE '' END,"
    " a.attempt, a.runner, (extract(epoch FROM a.start_time) * 1000000)::bigint,"
    " (extract(epoch FROM a.end_time) * 1000000)::bigint, a.outcome, a.tokens, a.gigaflop,"
    " a.core_us FROM taken a JOIN jobs j ON j.id = a.job ORDER BY a.end_time, a.job, a.attempt";
// From the attempts, not from what was sent: so that a loss on the way shows.
constexpr char kCounts[] =
    "SELECT j.team, count(*), sum(a.tokens)::bigint, sum(a.gigaflop)::bigint,"
    " sum(a.core_us)::bigint FROM job_attempts a JOIN jobs j ON j.id = a.job WHERE a.accounted"
    " AND j.team = ANY (ARRAY(SELECT json_array_elements_text($1::json)))"
    " GROUP BY j.team ORDER BY j.team";
constexpr char kWaiting[] = "SELECT count(*) FROM job_attempts WHERE " FLOE_WAITING;
#undef FLOE_WAITING

Usage ReadUsage(const pqxx::row& row, int first) {
  return {row[first].as<int64_t>(), row[first + 1].as<int64_t>(),
          absl::Microseconds(row[first + 2].as<int64_t>())};
}

AttemptUsage ReadAttemptUsage(const pqxx::row& row) {
  AttemptUsage one;
  one.team = row[1].as<std::string>();
  one.job = "teams/" + one.team + "/jobs/" + row[0].as<std::string>();
  one.kind = row[2].as<std::string>();
  one.made = row[3].as<std::string>();
  one.attempt.number = row[4].as<int>();
  one.attempt.runner = row[5].as<std::string>();
  one.attempt.start_time = OptionalTime(row[6]);
  one.attempt.end_time = OptionalTime(row[7]);
  one.attempt.outcome = OutcomeFromName(row[8].as<std::string>());
  one.attempt.used = ReadUsage(row, 9);
  return one;
}

UsageDelivery TakeOldest(Sql& sql, int limit) {
  UsageDelivery delivery;
  std::set<std::string> teams;
  for (const pqxx::row& row : sql.exec_params(kTake, limit)) {
    delivery.attempts.push_back(ReadAttemptUsage(row));
    teams.insert(delivery.attempts.back().team);
  }
  for (const pqxx::row& row : sql.exec_params(kCounts, nlohmann::json(teams).dump())) {
    delivery.counts.push_back({row[0].as<std::string>(), row[1].as<int64_t>(), ReadUsage(row, 2)});
  }
  return delivery;
}

class PostgresUsageOutbox final : public UsageOutbox {
 public:
  PostgresUsageOutbox(postgres::Pool& pool, std::string schema)
      : pool_(pool), schema_(std::move(schema)) {}

  absl::StatusOr<int> Deliver(int limit, Send send) override {
    return InSchema(pool_, schema_, [&](Sql& sql) -> absl::StatusOr<int> {
      if (!sql.exec_params1(kTakeTurn, schema_)[0].as<bool>()) return 0;
      const UsageDelivery delivery = TakeOldest(sql, limit);
      if (delivery.attempts.empty()) return 0;
      FLOE_RETURN_IF_ERROR(send(delivery));
      return static_cast<int>(delivery.attempts.size());
    });
  }

  absl::StatusOr<int64_t> Waiting() override {
    return InSchema(pool_, schema_, [&](Sql& sql) -> absl::StatusOr<int64_t> {
      return sql.exec1(kWaiting)[0].as<int64_t>();
    });
  }

 private:
  postgres::Pool& pool_;
  const std::string schema_;
};

}  // namespace

std::unique_ptr<UsageOutbox> MakePostgresUsageOutbox(postgres::Pool& pool, std::string schema) {
  return std::make_unique<PostgresUsageOutbox>(pool, std::move(schema));
}

}  // namespace floe::jobs
