// Finds jobs whose runner fell silent, and gives them to the next one.
//
// Silence counts only while the queue could be reached: after a start of the service, after an
// outage of its store, and after the machine slept, every runner gets one full lease to be heard
// again. So a job goes on over the restart of everything but its runner.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "jobs/leasing.h"
#include "jobs/ports.h"

namespace floe::jobs {

// Not thread-safe: one thread calls Tick() now and then, at least twice a lease. Borrows its parts.
class Reaper {
 public:
  Reaper(JobQueue& queue, const Clock& clock, Leasing::Options options)
      : queue_(queue), clock_(clock), options_(options) {}

  struct Found {
    std::vector<Job> expired;       // as they are now: queued again, failed or cancelled
    std::map<State, int64_t> open;  // for metrics
  };
  absl::StatusOr<Found> Tick();

 private:
  JobQueue& queue_;
  const Clock& clock_;
  const Leasing::Options options_;
  std::optional<absl::Duration> reachable_since_;  // Clock::Monotonic
  std::optional<absl::Duration> last_tick_;
};

}  // namespace floe::jobs
