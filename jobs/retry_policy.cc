#include "jobs/retry_policy.h"

#include <algorithm>

namespace floe::jobs {

absl::Duration RetryDelay(const RetryPolicy& policy, const Job& job) {
  absl::Duration delay = policy.first_delay;
  for (int i = 1; i < CountedAttempts(job) && delay < policy.max_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_delay);
}

}  // namespace floe::jobs
