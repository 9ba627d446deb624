#include "services/jobs/runner_memory.h"

#include "base/status_macros.h"

namespace floe::jobs {

absl::StatusOr<int64_t> RunnerMemory::LargestMib(const std::string& kind) const {
  FLOE_ASSIGN_OR_RETURN(const RunnersOfKind told, runners_.OfKind(kind, clock_.Now()));
  return told.largest_memory > 0 ? told.largest_memory >> 20 : usual_mib_;
}

void AddRunnerMemoryOption(runtime::Config& config, int64_t& usual_mib) {
  config.Add("runner-memory-mib", usual_mib,
             "Memory that a runner has for a job, while no runner has told its own: what is "
             "estimated to need more is refused. 0: not known");
  config.AddCheck([&usual_mib]() -> absl::Status {
    if (usual_mib >= 0) return absl::OkStatus();
    return absl::InvalidArgumentError("runner-memory-mib must be 0 (not known) or more");
  });
}

}  // namespace floe::jobs
