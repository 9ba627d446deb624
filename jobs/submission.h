// What a person does with jobs: submit, pause, resume and cancel.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "base/id.h"
#include "jobs/ports.h"

namespace floe::jobs {

// Thread-safe. Borrows its parts.
class Submission {
 public:
  struct Order {
    std::string team;
    std::string kind;
    std::string spec;  // validated, canonical JSON
    int max_attempts = 3;
    std::string creator;
    std::string request_id;
    int priority = 0;
    int64_t memory_bytes = 0;
  };

  // `service` is the prefix of the ids; `waiting` limits the jobs of a team that wait at a time.
  Submission(JobQueue& queue, const Clock& clock, IdGenerator& ids, std::string service,
             TeamLimits waiting = {})
      : queue_(queue),
        clock_(clock),
        ids_(ids),
        service_(std::move(service)),
        waiting_(std::move(waiting)) {}

  // Queues a job; repeating a request id returns the first job. INVALID_ARGUMENT when the priority
  // is out of bounds, RESOURCE_EXHAUSTED when as many of the team wait as may.
  absl::StatusOr<Job> Submit(Order order);

  // Queued: ends at once. Running: CANCELLING until its runner has stopped.
  absl::StatusOr<Job> Cancel(const std::string& team, const std::string& id);

  // Queued: waits at once. Running: PAUSING until its runner has saved and stopped.
  absl::StatusOr<Job> Pause(const std::string& team, const std::string& id);
  // Paused: queued again.
  absl::StatusOr<Job> Resume(const std::string& team, const std::string& id);

 private:
  JobQueue& queue_;
  const Clock& clock_;
  IdGenerator& ids_;
  const std::string service_;
  const TeamLimits waiting_;
};

}  // namespace floe::jobs
