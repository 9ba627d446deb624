// A job's events from the beginning to its end, over as many streams as it takes.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/door/door.h"

namespace floe::cli {

// `trainer` from `teams/nlp/jobs/trainer-01j…`: the service that owns the job. INVALID_ARGUMENT
// when the id has no such beginning.
absl::StatusOr<std::string> ServiceOfJob(const std::string& job_name);

struct WatchOptions {
  int64_t after_sequence = 0;
  // How long nobody may answer in a row before watching ends (the job goes on).
  absl::Duration give_up_after = absl::Minutes(2);
  std::function<void(const jobs::v1::JobEvent&)> on_event;  // each sequence once
  std::function<void(const absl::Status&)> on_break;        // the stream broke; tried again
  std::function<void(absl::Duration)> pause;                // between tries; null: really waits
};

// Returns the job once it has ended. A broken stream is taken up after the last event that came.
absl::StatusOr<jobs::v1::Job> WatchJob(Door& door, const std::string& job_name,
                                       const WatchOptions& options);

}  // namespace floe::cli
