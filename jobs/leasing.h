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
    TeamLimits limits;  // of jobs in work
  };

  Leasing(JobQueue& queue, const Clock& clock, Options options)
      : queue_(queue), clock_(clock), options_(options) {}

  // Starts the next attempt of the first job in the queue that a runner with so much memory (0: not
  // told) has room for. Does not wait.
  absl::StatusOr<std::optional<Job>> Acquire(const std::vector<std::string>& kinds,
                                             const std::string& runner, int64_t memory_bytes = 0);

  // Extends the lease, appends events and notes what the attempt used so far; ABORTED (LEASE_LOST)
  // when the attempt holds it no more.
  absl::StatusOr<Job> Heartbeat(const std::string& team, const std::string& id, int attempt,
                                const std::vector<Event>& events, const Usage& used = {});

  absl::StatusOr<Job> Finish(const std::string& team, const std::string& id, const AttemptEnd& end);

 private:
  JobQueue& queue_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace floe::jobs
