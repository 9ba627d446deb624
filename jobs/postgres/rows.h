// Between rows and jobs: the columns in one order, both ways.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <pqxx/pqxx>

#include "jobs/job.h"

namespace floe::jobs {

// The columns that JobFromRow reads, in its order; times as microseconds since 1970.
#define FLOE_JOB_COLUMNS                                                                      \
  "id, team, kind, spec, state, attempt, max_attempts, handed_back, error, result, progress," \
  " creator, request_id, (extract(epoch FROM create_time) * 1000000)::bigint,"                \
  " (extract(epoch FROM start_time) * 1000000)::bigint,"                                      \
  " (extract(epoch FROM end_time) * 1000000)::bigint,"                                        \
  " (extract(epoch FROM due_time) * 1000000)::bigint, runner,"                                \
  " (extract(epoch FROM lease_expire_time) * 1000000)::bigint, finished_attempt,"             \
  " last_sequence, reported_sequence,"                                                        \
  " CASE WHEN state = 'QUEUED' THEN (SELECT count(*) FROM jobs ahead"                         \
  " WHERE ahead.state = 'QUEUED' AND (-ahead.priority, ahead.due_time, ahead.id)"             \
  " <= (-jobs.priority, jobs.due_time, jobs.id)) ELSE 0 END, priority, memory_bytes"

absl::StatusOr<Job> JobFromRow(const pqxx::row& row);

// sequence, time in microseconds, attempt, what.
absl::StatusOr<Event> EventFromRow(const pqxx::row& row);

// A time as a parameter of type timestamptz.
std::string Timestamp(absl::Time time);
std::optional<std::string> OptionalTimestamp(const std::optional<absl::Time>& time);
std::optional<absl::Time> OptionalTime(const pqxx::field& microseconds);

// pqxx 6 takes a null parameter as a null pointer.
inline const char* OrNull(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

}  // namespace floe::jobs
