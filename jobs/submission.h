// What a person does with jobs: submit, pause, resume and cancel.
#pragma once

#include <string>

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

  // `service` is the prefix of the ids.
  Submission(JobQueue& queue, const Clock& clock, IdGenerator& ids, std::string service)
      : queue_(queue), clock_(clock), ids_(ids), service_(std::move(service)) {}

  // Queues a job; repeating a request id returns the first job. INVALID_ARGUMENT when the priority
  // is out of bounds.
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
};

}  // namespace floe::jobs
