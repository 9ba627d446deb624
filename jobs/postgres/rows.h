// Between rows and jobs: the columns in one order, both ways.
#pragma once

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
  " last_sequence, reported_sequence"

absl::StatusOr<Job> JobFromRow(const pqxx::row& row);

// sequence, time in microseconds, attempt, what.
absl::StatusOr<Event> EventFromRow(const pqxx::row& row);

// A time as a parameter of type timestamptz.
std::string Timestamp(absl::Time time);

}  // namespace floe::jobs
