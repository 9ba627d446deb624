#include "jobs/postgres/history.h"

#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "jobs/postgres/event_json.h"
#include "jobs/postgres/rows.h"

namespace floe::jobs {
namespace {

using Sql = pqxx::transaction_base;

constexpr char kAppend[] =
    "INSERT INTO job_events (job, sequence, time, attempt, what) VALUES ($1, $2, $3, $4, $5)";
constexpr char kEvents[] =
    "SELECT sequence, (extract(epoch FROM time) * 1000000)::bigint, attempt, what FROM job_events"
    " WHERE job = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
constexpr char kForgetFrom[] = "DELETE FROM job_metrics WHERE job = $1 AND step >= $2";
constexpr char kMeasured[] =
    "INSERT INTO job_metrics (job, step, time, attempt, metrics) VALUES ($1, $2, $3, $4, $5)";
constexpr char kMetrics[] =
    "SELECT step, (extract(epoch FROM time) * 1000000)::bigint, attempt, metrics FROM job_metrics"
    " WHERE job = $1 AND step > $2 ORDER BY step LIMIT $3";
// A beginning knows no end, and an end no beginning: neither wipes out the other.
constexpr char kAttempt[] =
    "INSERT INTO job_attempts (job, attempt, runner, start_time, end_time, outcome, reason)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (job, attempt) DO UPDATE SET end_time = excluded.end_time,"
    " outcome = excluded.outcome, reason = excluded.reason";
constexpr char kUsed[] =
    "UPDATE job_attempts SET tokens = greatest(tokens, $3), gigaflop = greatest(gigaflop, $4),"
    " core_us = greatest(core_us, $5) WHERE job = $1 AND attempt = $2";
constexpr char kAttempts[] =
    "SELECT attempt, runner, (extract(epoch FROM start_time) * 1000000)::bigint,"
    " (extract(epoch FROM end_time) * 1000000)::bigint, outcome, reason, tokens, gigaflop,"
    " core_us FROM job_attempts"
    " WHERE job = $1 ORDER BY attempt";

void AppendMetrics(Sql& sql, const std::string& id, const Event& event) {
  const auto* progress = std::get_if<Progress>(&event.what);
  if (progress == nullptr || progress->step <= 0 || progress->metrics.empty()) return;
  sql.exec_params(kForgetFrom, id, progress->step);
  sql.exec_params(kMeasured, id, progress->step, Timestamp(event.time), event.attempt,
                  MetricsToJson(progress->metrics));
}

void StoreAttempt(Sql& sql, const std::string& id, const Attempt& attempt) {
  const auto start = OptionalTimestamp(attempt.start_time);
  const auto end = OptionalTimestamp(attempt.end_time);
  sql.exec_params(kAttempt, id, attempt.number, attempt.runner, OrNull(start), OrNull(end),
                  attempt.outcome ? std::string(OutcomeName(*attempt.outcome)) : "",
                  attempt.reason);
}

}  // namespace

void AppendHistory(Sql& sql, const Change& change) {
  const std::string& id = change.job.id;
  for (const Event& event : change.events) {
    sql.exec_params(kAppend, id, event.sequence, Timestamp(event.time), event.attempt,
                    WhatToJson(event.what));
    AppendMetrics(sql, id, event);
  }
  if (change.attempt) StoreAttempt(sql, id, *change.attempt);
  if (change.used) {
    sql.exec_params(kUsed, id, change.job.attempt, change.used->tokens, change.used->gigaflop,
                    absl::ToInt64Microseconds(change.used->core_time));
  }
}

absl::StatusOr<std::vector<Event>> ReadEvents(Sql& sql, const std::string& id,
                                              int64_t after_sequence, int limit) {
  std::vector<Event> events;
  for (const pqxx::row& row : sql.exec_params(kEvents, id, after_sequence, limit)) {
    FLOE_ASSIGN_OR_RETURN(Event event, EventFromRow(row));
    events.push_back(std::move(event));
  }
  return events;
}

absl::StatusOr<std::vector<StepMetrics>> ReadMetrics(Sql& sql, const std::string& id,
                                                     int64_t after_step, int limit) {
  std::vector<StepMetrics> rows;
  for (const pqxx::row& row : sql.exec_params(kMetrics, id, after_step, limit)) {
    StepMetrics one;
    one.step = row[0].as<int64_t>();
    one.time = absl::FromUnixMicros(row[1].as<int64_t>());
    one.attempt = row[2].as<int>();
    FLOE_ASSIGN_OR_RETURN(one.metrics, MetricsFromJson(row[3].as<std::string>()));
    rows.push_back(std::move(one));
  }
  return rows;
}

absl::StatusOr<std::vector<Attempt>> ReadAttempts(Sql& sql, const std::string& id) {
  std::vector<Attempt> attempts;
  for (const pqxx::row& row : sql.exec_params(kAttempts, id)) {
    Attempt one;
    one.number = row[0].as<int>();
    one.runner = row[1].as<std::string>();
    one.start_time = OptionalTime(row[2]);
    one.end_time = OptionalTime(row[3]);
    const std::string outcome = row[4].as<std::string>();
    one.outcome = OutcomeFromName(outcome);
    if (!one.outcome && !outcome.empty()) {
      return absl::DataLossError(
          absl::StrCat("attempt ", one.number, " of job ", id, " ended in an unknown way"));
    }
    one.reason = row[5].as<std::string>();
    one.used = {row[6].as<int64_t>(), row[7].as<int64_t>(),
                absl::Microseconds(row[8].as<int64_t>())};
    attempts.push_back(std::move(one));
  }
  return attempts;
}

}  // namespace floe::jobs
