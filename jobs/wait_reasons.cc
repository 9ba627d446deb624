#include "jobs/wait_reasons.h"

#include "base/status_macros.h"

namespace floe::jobs {

absl::StatusOr<std::string> WaitReasons::Of(const Job& job) {
  if (job.state != State::kQueued) return "";
  if (limits_.Of(job.team) > 0) {
    if (!held_.contains(job.team)) {
      FLOE_ASSIGN_OR_RETURN(held_[job.team], queue_.CountHeld(job.team));
    }
    const std::string limit = WhyHeldBack(limits_, job.team, held_[job.team]);
    if (!limit.empty()) return limit;
  }
  if (!of_kinds_.contains(job.kind)) {
    FLOE_ASSIGN_OR_RETURN(of_kinds_[job.kind], runners_.OfKind(job.kind, now_));
  }
  return WhyNoRunner(of_kinds_[job.kind], job.kind, job.memory_bytes);
}

}  // namespace floe::jobs
