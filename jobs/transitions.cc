#include "jobs/transitions.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::jobs {
namespace {

void Append(Change& change, absl::Time now, std::variant<Progress, LogLine, State> what) {
  if (const auto* progress = std::get_if<Progress>(&what)) change.job.progress = *progress;
  change.events.push_back({++change.job.last_sequence, now, change.job.attempt, std::move(what)});
}

void Enter(Change& change, State state, absl::Time now) {
  change.job.state = state;
  change.job.queue_position = 0;  // the queue tells it when it is read
  if (!IsLeased(state)) {
    change.job.runner.clear();
    change.job.lease_expire.reset();
  }
  if (IsEnded(state)) change.job.end_time = now;
  Append(change, now, state);
}

absl::Status CheckHolds(const Job& job, int attempt) {
  if (job.attempt == attempt && IsLeased(job.state)) return absl::OkStatus();
  const std::string now_is =
      job.attempt != attempt
          ? absl::StrCat("attempt ", job.attempt, " has begun")
          : absl::StrCat("the job is ", std::string(StateName(job.state)), " now");
  return WithReason(absl::AbortedError(absl::StrCat("attempt ", attempt, " of ", job.id,
                                                    " does not hold its lease any more: ", now_is,
                                                    "; stop working on it")),
                    kLeaseLost, {{"job", job.name()}});
}

absl::Status AppendReported(Change& change, const std::vector<Event>& events) {
  for (const Event& event : events) {
    Job& job = change.job;
    if (event.sequence <= job.reported_sequence) continue;  // sent again after a lost answer
    if (event.sequence != job.reported_sequence + 1) {
      return absl::InvalidArgumentError(absl::StrCat("event ", event.sequence, " of ", job.id,
                                                     " follows ", job.reported_sequence,
                                                     "; events are numbered without gaps"));
    }
    if (std::holds_alternative<State>(event.what)) {
      return absl::InvalidArgumentError(
          absl::StrCat("event ", event.sequence, " of ", job.id,
                       " is a state; a runner reports progress and log lines"));
    }
    job.reported_sequence = event.sequence;
    Append(change, event.time, event.what);
  }
  return absl::OkStatus();
}

// The attempt failed in a way that another one might not.
void RetryOrFail(Change& change, const std::string& error, absl::Time now,
                 const RetryPolicy& policy) {
  Job& job = change.job;
  if (!MayRetry(job)) {
    job.error = error;
    Append(change, now,
           LogLine{"error",
                   absl::StrCat("attempt ", job.attempt, " failed, and it was the last: ", error)});
    return Enter(change, State::kFailed, now);
  }
  const absl::Duration delay = RetryDelay(policy, job);
  job.due_time = now + delay;
  Append(change, now,
         LogLine{"warning", absl::StrCat("attempt ", job.attempt, " failed and is repeated in ",
                                         absl::FormatDuration(delay), ": ", error)});
  Enter(change, job.state == State::kPausing ? State::kPaused : State::kQueued, now);
}

void EndCancelled(Change& change, std::string error, absl::Time now) {
  change.job.error = std::move(error);
  Enter(change, State::kCancelled, now);
}

void EndAttempt(Change& change, Outcome outcome, std::string reason, absl::Time now) {
  Attempt attempt;
  attempt.number = change.job.attempt;
  attempt.runner = change.job.runner;
  attempt.end_time = now;
  attempt.outcome = outcome;
  attempt.reason = std::move(reason);
  change.attempt = std::move(attempt);
}

absl::Status HasEnded(const Job& job, std::string_view what) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat(job.id, " has ended as ", std::string(StateName(job.state)),
                                     "; there is nothing left to ", AbslView(what))),
                    "JOB_HAS_ENDED", {{"job", job.name()}});
}

// Pausing and going on are for jobs that are still to be done.
absl::Status RefuseIfOver(const Job& job, std::string_view what) {
  if (IsEnded(job.state)) return HasEnded(job, what);
  if (job.state != State::kCancelling) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        job.id, " is being cancelled, which nothing takes back; submit it again")),
                    "JOB_IS_CANCELLING", {{"job", job.name()}});
}

std::string WhyEnded(const AttemptEnd& end) {
  return end.error.empty() ? "the runner gave no reason" : end.error;
}

}  // namespace

Change Submit(Job job, absl::Time now) {
  job.create_time = now;
  job.due_time = now;
  Change change{std::move(job), {}, {}, {}};
  Enter(change, State::kQueued, now);
  return change;
}

Change Start(Job job, std::string_view runner, absl::Time now, absl::Duration lease) {
  ++job.attempt;
  job.runner = runner;
  job.lease_expire = now + lease;
  if (!job.start_time) job.start_time = now;
  Change change{std::move(job), {}, {}, {}};
  Enter(change, State::kRunning, now);
  change.job.reported_sequence = change.job.last_sequence;
  Attempt attempt;
  attempt.number = change.job.attempt;
  attempt.runner = change.job.runner;
  attempt.start_time = now;
  change.attempt = std::move(attempt);
  return change;
}

absl::StatusOr<Change> Report(Job job, const AttemptReport& report, absl::Time now,
                              absl::Duration lease) {
  FLOE_RETURN_IF_ERROR(CheckHolds(job, report.attempt));
  Change change{std::move(job), {}, {}, report.used};
  FLOE_RETURN_IF_ERROR(AppendReported(change, report.events));
  change.job.lease_expire = now + lease;
  return change;
}

absl::StatusOr<Change> Finish(Job job, const AttemptEnd& end, absl::Time now,
                              const RetryPolicy& policy) {
  if (job.attempt == end.attempt && job.finished_attempt == end.attempt) {
    return Change{std::move(job), {}, {}, {}};  // the answer to the first call was lost
  }
  FLOE_RETURN_IF_ERROR(CheckHolds(job, end.attempt));
  Change change{std::move(job), {}, {}, end.used};
  FLOE_RETURN_IF_ERROR(AppendReported(change, end.events));
  change.job.finished_attempt = end.attempt;
  const bool cancelling = change.job.state == State::kCancelling;
  const bool pausing = change.job.state == State::kPausing;
  EndAttempt(change, end.outcome, end.outcome == Outcome::kSucceeded ? "" : WhyEnded(end), now);
  switch (end.outcome) {
    case Outcome::kSucceeded:
      change.job.result = end.result;
      Enter(change, State::kSucceeded, now);
      break;
    case Outcome::kHandedBack:
      ++change.job.handed_back;
      if (cancelling) {
        EndCancelled(change, end.error, now);
      } else {
        change.job.due_time = now;
        Enter(change, pausing ? State::kPaused : State::kQueued, now);
      }
      break;
    case Outcome::kCancelled:
      EndCancelled(change, end.error, now);
      break;
    case Outcome::kFailedPermanent:
    case Outcome::kFailedRetryable:
      if (cancelling) {
        EndCancelled(change, WhyEnded(end), now);
      } else if (end.outcome == Outcome::kFailedRetryable) {
        RetryOrFail(change, WhyEnded(end), now, policy);
      } else {
        change.job.error = WhyEnded(end);
        Enter(change, State::kFailed, now);
      }
      break;
  }
  return change;
}

absl::StatusOr<Change> Cancel(Job job, absl::Time now) {
  Change change{std::move(job), {}, {}, {}};
  switch (change.job.state) {
    case State::kQueued:
    case State::kPaused:
      EndCancelled(
          change,
          change.job.attempt == 0 ? "cancelled before it was started" : "cancelled while it waited",
          now);
      break;
    case State::kRunning:
    case State::kPausing:
      Enter(change, State::kCancelling, now);
      break;
    case State::kCancelling:
    case State::kCancelled:
      break;
    case State::kSucceeded:
    case State::kFailed:
      return HasEnded(change.job, "cancel");
  }
  return change;
}

absl::StatusOr<Change> Pause(Job job, absl::Time now) {
  FLOE_RETURN_IF_ERROR(RefuseIfOver(job, "pause"));
  Change change{std::move(job), {}, {}, {}};
  if (change.job.state == State::kQueued) Enter(change, State::kPaused, now);
  if (change.job.state == State::kRunning) Enter(change, State::kPausing, now);
  return change;
}

absl::StatusOr<Change> Resume(Job job, absl::Time now) {
  FLOE_RETURN_IF_ERROR(RefuseIfOver(job, "resume"));
  Change change{std::move(job), {}, {}, {}};
  if (change.job.state == State::kPaused) {
    change.job.due_time = now;
    Enter(change, State::kQueued, now);
  } else if (change.job.state == State::kPausing) {
    Enter(change, State::kRunning, now);  // its runner goes on, or hands back what is queued again
  }
  return change;
}

Change Expire(Job job, absl::Time now, const RetryPolicy& policy) {
  Change change{std::move(job), {}, {}, {}};
  const Job& expired = change.job;
  if (!IsLeased(expired.state) || !expired.lease_expire || *expired.lease_expire > now) {
    return change;
  }
  const std::string error =
      absl::StrCat("runner ", expired.runner, " was not heard of until its lease ended");
  EndAttempt(change, Outcome::kFailedRetryable, error, now);
  if (expired.state == State::kCancelling) {
    EndCancelled(change, error, now);
  } else {
    RetryOrFail(change, error, now, policy);
  }
  return change;
}

}  // namespace floe::jobs
