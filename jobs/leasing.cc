#include "jobs/leasing.h"

#include <utility>

namespace floe::jobs {

absl::StatusOr<std::optional<Job>> Leasing::Acquire(const std::vector<std::string>& kinds,
                                                    const std::string& runner,
                                                    int64_t memory_bytes) {
  const absl::Time now = clock_.Now();
  return queue_.TakeNext({kinds, now, options_.limits, memory_bytes}, [&](Job job) {
    return Start(std::move(job), runner, now, options_.lease);
  });
}

absl::StatusOr<Job> Leasing::Heartbeat(const std::string& team, const std::string& id, int attempt,
                                       const std::vector<Event>& events, const Usage& used) {
  return queue_.Update(team, id, [&](Job job) {
    return Report(std::move(job), {attempt, events, used}, clock_.Now(), options_.lease);
  });
}

absl::StatusOr<Job> Leasing::Finish(const std::string& team, const std::string& id,
                                    const AttemptEnd& end) {
  return queue_.Update(team, id, [&](Job job) {
    return jobs::Finish(std::move(job), end, clock_.Now(), options_.retry);
  });
}

}  // namespace floe::jobs
