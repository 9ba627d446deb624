#include "billing/postgres/job_usage_store.h"

#include <optional>

#include <pqxx/pqxx>

#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kInsert[] =
    "INSERT INTO billing.job_usage (job, attempt, queue, team, kind, runner, started_at, ended_at,"
    " outcome, made, tokens, gigaflop, core_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
// A delivery that was long on its way does not take back what a later one said.
constexpr char kCount[] =
    "INSERT INTO billing.job_count (queue, team, attempts, tokens, gigaflop, core_us)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (queue, team) DO UPDATE SET"
    " attempts = excluded.attempts, tokens = excluded.tokens, gigaflop = excluded.gigaflop,"
    " core_us = excluded.core_us WHERE job_count.attempts <= excluded.attempts";
constexpr char kQuery[] =
    "WITH made AS (SELECT job, max(made) AS made FROM billing.job_usage"
    " WHERE ($1 = '' OR team = $1) GROUP BY job)"
    " SELECT u.team, u.kind, m.made, count(DISTINCT u.job), count(*), sum(tokens)::bigint,"
    " sum(gigaflop)::bigint, sum(core_us)::bigint, count(*) FILTER (WHERE lost),"
    " coalesce(sum(tokens) FILTER (WHERE lost), 0)::bigint,"
    " coalesce(sum(gigaflop) FILTER (WHERE lost), 0)::bigint,"
    " coalesce(sum(core_us) FILTER (WHERE lost), 0)::bigint,"
    " CASE WHEN $4::boolean THEN u.job ELSE '' END AS one"
    " FROM (SELECT *, outcome <> 'succeeded' AS lost FROM billing.job_usage"
    " WHERE ($1 = '' OR team = $1) AND ended_at >= $2::timestamptz AND ended_at < $3::timestamptz)"
    " u JOIN made m USING (job) GROUP BY u.team, u.kind, m.made, one"
    " ORDER BY u.team, m.made, u.kind, one";
constexpr char kCompare[] =
    "SELECT queue, team, coalesce(c.attempts, 0), coalesce(c.tokens, 0), coalesce(c.gigaflop, 0),"
    " coalesce(c.core_us, 0), coalesce(b.attempts, 0), coalesce(b.tokens, 0),"
    " coalesce(b.gigaflop, 0), coalesce(b.core_us, 0) FROM billing.job_count c FULL JOIN"
    " (SELECT queue, team, count(*) AS attempts, sum(tokens)::bigint AS tokens,"
    " sum(gigaflop)::bigint AS gigaflop, sum(core_us)::bigint AS core_us FROM billing.job_usage"
    " GROUP BY queue, team) b USING (queue, team)"
    " WHERE $1 = '' OR team = $1 ORDER BY queue, team";

JobQuantities ReadQuantities(const pqxx::row& row, int first) {
  return {row[first].as<int64_t>(), row[first + 1].as<int64_t>(), row[first + 2].as<int64_t>(),
          absl::Microseconds(row[first + 3].as<int64_t>())};
}

int64_t Insert(pqxx::transaction_base& sql, const JobUsage& one) {
  std::optional<std::string> start;
  if (one.start_time != absl::InfinitePast()) start = SqlTime(one.start_time);
  const std::string team = TeamOf(one);
  return static_cast<int64_t>(
      sql.exec_params0(kInsert, one.job, one.attempt, one.queue, team, one.kind, one.runner,
                       start ? start->c_str() : nullptr, SqlTime(one.end_time), one.outcome,
                       one.made, one.used.tokens, one.used.gigaflop,
                       absl::ToInt64Microseconds(one.used.core_time))
          .affected_rows());
}

}  // namespace

absl::StatusOr<int64_t> PostgresJobUsageStore::Append(const std::vector<JobUsage>& attempts,
                                                      const std::vector<JobCount>& counts) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<int64_t> {
    int64_t accepted = 0;
    for (const JobUsage& one : attempts) accepted += Insert(sql, one);
    for (const JobCount& one : counts) {
      sql.exec_params0(kCount, one.queue, one.team, one.used.attempts, one.used.tokens,
                       one.used.gigaflop, absl::ToInt64Microseconds(one.used.core_time));
    }
    return accepted;
  });
}

absl::StatusOr<std::vector<JobUsageRow>> PostgresJobUsageStore::Query(std::string_view team,
                                                                      const Interval& interval,
                                                                      Rows rows_are) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<JobUsageRow>> {
        std::vector<JobUsageRow> rows;
        for (const auto& row : sql.exec_params(kQuery, std::string(team), SqlTime(interval.start),
                                               SqlTime(interval.end), rows_are == Rows::kJobs)) {
          rows.push_back({row[0].c_str(), row[1].c_str(), row[2].c_str(), row[3].as<int64_t>(),
                          ReadQuantities(row, 4), ReadQuantities(row, 8), row[12].c_str()});
        }
        return rows;
      });
}

void CheckJobUsage(pqxx::transaction_base& sql, const std::string& team, VerifyReport& report) {
  for (const auto& row : sql.exec_params(kCompare, team)) {
    const JobCount counted = {row[0].c_str(), row[1].c_str(), ReadQuantities(row, 2)};
    const JobQuantities billed = ReadQuantities(row, 6);
    report.jobs_counted += counted.used;
    report.jobs_billed += billed;
    const std::string difference = ExplainDifference(counted, billed);
    if (!difference.empty()) report.ledger_faults.push_back(difference);
  }
}

}  // namespace floe::billing
