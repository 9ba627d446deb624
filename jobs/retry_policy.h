// When a failed attempt is followed by another one. Pure.
#pragma once

#include "absl/time/time.h"

#include "jobs/job.h"

namespace floe::jobs {

// Attempts that were handed back do not count, whatever else ended them does: a job that kills its
// runner must not do so for ever.
struct RetryPolicy {
  absl::Duration first_delay = absl::Seconds(2);
  absl::Duration max_delay = absl::Minutes(5);
};

// The attempts that count so far.
inline int CountedAttempts(const Job& job) { return job.attempt - job.handed_back; }

// Another attempt is allowed.
inline bool MayRetry(const Job& job) { return CountedAttempts(job) < job.max_attempts; }

// How long to wait after the newest attempt failed: doubling with each that counts.
absl::Duration RetryDelay(const RetryPolicy& policy, const Job& job);

}  // namespace floe::jobs
