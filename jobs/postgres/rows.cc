#include "jobs/postgres/rows.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "jobs/postgres/event_json.h"

namespace floe::jobs {
absl::StatusOr<Job> JobFromRow(const pqxx::row& row) {
  Job job;
  int column = 0;
  const auto next = [&] { return row[column++]; };
  job.id = next().as<std::string>();
  job.team = next().as<std::string>();
  job.kind = next().as<std::string>();
  job.spec = next().as<std::string>();
  const auto state = StateFromName(next().as<std::string>());
  if (!state) return absl::DataLossError(absl::StrCat("job ", job.id, " is in an unknown state"));
  job.state = *state;
  job.attempt = next().as<int>();
  job.max_attempts = next().as<int>();
  job.handed_back = next().as<int>();
  job.error = next().as<std::string>();
  job.result = next().as<std::string>();
  if (const pqxx::field progress = next(); !progress.is_null()) {
    FLOE_ASSIGN_OR_RETURN(job.progress, ProgressFromJson(progress.as<std::string>()));
  }
  job.creator = next().as<std::string>();
  job.request_id = next().as<std::string>();
  job.create_time = absl::FromUnixMicros(next().as<int64_t>());
  job.start_time = OptionalTime(next());
  job.end_time = OptionalTime(next());
  job.due_time = absl::FromUnixMicros(next().as<int64_t>());
  job.runner = next().as<std::string>();
  job.lease_expire = OptionalTime(next());
  job.finished_attempt = next().as<int>();
  job.last_sequence = next().as<int64_t>();
  job.reported_sequence = next().as<int64_t>();
  job.queue_position = next().as<int64_t>();
  job.priority = next().as<int>();
  job.memory_bytes = next().as<int64_t>();
  return job;
}

absl::StatusOr<Event> EventFromRow(const pqxx::row& row) {
  Event event;
  event.sequence = row[0].as<int64_t>();
  event.time = absl::FromUnixMicros(row[1].as<int64_t>());
  event.attempt = row[2].as<int>();
  FLOE_ASSIGN_OR_RETURN(event.what, WhatFromJson(row[3].as<std::string>()));
  return event;
}

std::string Timestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6S+00", time, absl::UTCTimeZone());
}

std::optional<std::string> OptionalTimestamp(const std::optional<absl::Time>& time) {
  if (!time) return std::nullopt;
  return Timestamp(*time);
}

std::optional<absl::Time> OptionalTime(const pqxx::field& microseconds) {
  if (microseconds.is_null()) return std::nullopt;
  return absl::FromUnixMicros(microseconds.as<int64_t>());
}

}  // namespace floe::jobs
