// What a runner does with jobs: take one, say that it lives, end its attempt.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "jobs/ports.h"

namespace floe::jobs {

// Thread-safe. Borrows its parts.
class Leasing {
 public:
  struct Options {
    absl::Duration lease = absl::Seconds(30);
    RetryPolicy retry;
    int team_limit = 0;  // jobs of one team in work at most; 0: any number
  };

  Leasing(JobQueue& queue, const Clock& clock, Options options)
      : queue_(queue), clock_(clock), options_(options) {}

  // Starts the next attempt of the job that has been due longest. Does not wait.
  absl::StatusOr<std::optional<Job>> Acquire(const std::vector<std::string>& kinds,
                                             const std::string& runner);

  // Extends the lease and appends events; ABORTED (LEASE_LOST) when the attempt holds it no more.
  absl::StatusOr<Job> Heartbeat(const std::string& team, const std::string& id, int attempt,
                                const std::vector<Event>& events);

  absl::StatusOr<Job> Finish(const std::string& team, const std::string& id, const AttemptEnd& end);

 private:
  JobQueue& queue_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace floe::jobs
