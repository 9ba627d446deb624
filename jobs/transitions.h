// The state machine of a job: a job and something that happens to it in, the changed job and the
// events to append out. Pure.
//
//            Start            Finish: succeeded
//   QUEUED ---------> RUNNING ------------------> SUCCEEDED
//    |  ^               |  |
//    |  +---------------+  +--------------------> FAILED
//    |   handed back,      permanent, or no attempt left
//    |   retryable failure,
//    |   lease expired
//    |                  | Cancel
//    | Cancel           v
//    v              CANCELLING -----------------> CANCELLED (SUCCEEDED when it was done before it
//   CANCELLED             whatever ends it                   heard of the cancellation)
//
// Pause: QUEUED becomes PAUSED, RUNNING becomes PAUSING until its runner has handed back (or the
// attempt failed in a way that may be tried again): then PAUSED. Resume: PAUSED becomes QUEUED.
// Both may be cancelled.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "jobs/job.h"
#include "jobs/retry_policy.h"

namespace floe::jobs {

// The reason (base/error_reason.h) of ABORTED when an attempt is not the one that holds the lease.
inline constexpr std::string_view kLeaseLost = "LEASE_LOST";

struct Change {
  Job job;
  std::vector<Event> events;       // to append; numbered after the job's last
  std::optional<Attempt> attempt;  // that began or ended
  std::optional<Usage> used;       // of the newest attempt so far, when its runner told it
};

// A job as it is submitted: QUEUED, with its first event.
Change Submit(Job job, absl::Time now);

// The next attempt begins, held by `runner` until `now + lease`.
Change Start(Job job, std::string_view runner, absl::Time now, absl::Duration lease);

struct AttemptReport {
  int attempt = 0;
  std::vector<Event> events;
  Usage used;
};

// A runner lives: the lease is extended, and its events are appended. They are numbered by the
// runner, from the job's `last_sequence` at the start of the attempt; those reported already are
// dropped. ABORTED (LEASE_LOST) when `attempt` does not hold the lease; INVALID_ARGUMENT when a
// number is left out.
absl::StatusOr<Change> Report(Job job, const AttemptReport& report, absl::Time now,
                              absl::Duration lease);

struct AttemptEnd {
  int attempt = 0;
  Outcome outcome = Outcome::kSucceeded;
  std::string error;
  std::string result;
  std::vector<Event> events;  // as in Report
  Usage used;
};

// A runner ends its attempt. Repeating it changes nothing. Errors as in Report.
absl::StatusOr<Change> Finish(Job job, const AttemptEnd& end, absl::Time now,
                              const RetryPolicy& policy);

// A person asks the job to stop. Repeating it changes nothing; FAILED_PRECONDITION when it has
// ended otherwise.
absl::StatusOr<Change> Cancel(Job job, absl::Time now);

// A person asks the job to step aside, or a paused one to go on. Repeating changes nothing;
// FAILED_PRECONDITION when the job has ended or is being cancelled.
absl::StatusOr<Change> Pause(Job job, absl::Time now);
absl::StatusOr<Change> Resume(Job job, absl::Time now);

// The lease ran out without a word of the runner. Changes nothing when no lease is held or it
// reaches beyond `now`.
Change Expire(Job job, absl::Time now, const RetryPolicy& policy);

}  // namespace floe::jobs
