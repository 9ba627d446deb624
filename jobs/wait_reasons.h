// Why queued jobs wait although it may be their turn: their team's limit, or the runners.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "jobs/ports.h"
#include "jobs/runners.h"
#include "jobs/team_limits.h"

namespace floe::jobs {

// For the jobs of one answer: what it has looked up it does not ask for again. Borrows its parts.
// Not thread-safe.
class WaitReasons {
 public:
  WaitReasons(JobQueue& queue, RunnerStore& runners, const TeamLimits& limits, absl::Time now)
      : queue_(queue), runners_(runners), limits_(limits), now_(now) {}

  // For people; empty when nothing but the jobs before it holds it back, or when it is not queued.
  absl::StatusOr<std::string> Of(const Job& job);

 private:
  JobQueue& queue_;
  RunnerStore& runners_;
  const TeamLimits& limits_;
  const absl::Time now_;
  std::map<std::string, int> held_;                // by team
  std::map<std::string, RunnersOfKind> of_kinds_;  // by kind
};

}  // namespace floe::jobs
