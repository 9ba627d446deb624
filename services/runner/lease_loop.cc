#include "services/runner/lease_loop.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/runner/job_gauges.h"
#include "services/runner/memory.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"

namespace floe::runner {
namespace {

constexpr runtime::RetryPolicy kQueueAway = {.first_delay = absl::Milliseconds(100),
                                             .max_delay = absl::Seconds(2)};

bool IsRetryable(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

void Wait(absl::Duration time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, absl::ToChronoNanoseconds(time), [] { return false; });
}

}  // namespace

jobs::AttemptEnd EndOf(const absl::StatusOr<std::string>& result,
                       std::optional<StopReason> stop_reason) {
  jobs::AttemptEnd end;
  if (result.ok()) {
    end.outcome = jobs::Outcome::kSucceeded;
    end.result = *result;
    return end;
  }
  const absl::Status& status = result.status();
  const bool stopped = stop_reason.has_value() && absl::IsCancelled(status);
  if (stopped && *stop_reason == StopReason::kCancelled) {
    end.outcome = jobs::Outcome::kCancelled;
    end.error = "cancelled on request";
    return end;
  }
  if (stopped) {
    end.outcome = jobs::Outcome::kHandedBack;
    end.error = *stop_reason == StopReason::kPaused ? "paused on request" : "the runner shuts down";
    return end;
  }
  end.outcome = IsRetryable(status.code()) ? jobs::Outcome::kFailedRetryable
                                           : jobs::Outcome::kFailedPermanent;
  end.error = absl::StrCat(std::string(runtime::CodeName(status.code())), ": ", status.message());
  return end;
}

LeaseLoop::LeaseLoop(const Parts& parts, LoopOptions options)
    : parts_(parts),
      options_(std::move(options)),
      self_{options_.runner, {}, options_.memory_bytes} {
  for (const Executor* executor : parts_.executors) self_.kinds.push_back(executor->kind());
}

void LeaseLoop::Run(std::stop_token stop, std::stop_token give_up) {
  int failures = 0;
  while (!stop.stop_requested()) {
    const auto lease = parts_.queue.Acquire(self_, options_.wait, stop);
    if (stop.stop_requested() && !lease.ok()) return;
    if (!lease.ok()) {
      if (++failures == 1) {  // said once an outage
        parts_.logger.Warning("the queue is away",
                              {{"queue", options_.queue}, {"error", lease.status().ToString()}});
      }
      Wait(runtime::RetryDelay(kQueueAway, failures, 1.0), stop);
      continue;
    }
    if (failures > 0) parts_.logger.Info("the queue is back", {{"queue", options_.queue}});
    failures = 0;
    if (lease->has_value()) ExecuteLease(**lease, stop, give_up);
  }
}

void LeaseLoop::ExecuteLease(const jobs::Lease& lease, std::stop_token stop,
                             std::stop_token give_up) {
  parts_.logger.Info("attempt begins",
                     {{"job", lease.job}, {"kind", lease.kind}, {"attempt", lease.attempt}});
  auto& running = parts_.metrics.Gauge("floe_runner_jobs_running", "Jobs in work, by kind",
                                       {{"kind", lease.kind}});
  running.Increment();
  Session session(parts_.queue, lease, parts_.clock, parts_.logger, options_.session);
  std::optional<WorkFolder> folder;
  jobs::AttemptEnd end;
  {
    const std::stop_callback hand_back(stop,
                                       [&session] { session.RequestStop(StopReason::kHandBack); });
    const auto result = ExecuteInFolder(lease, session, folder);
    end = EndOf(result, session.stop_reason());
  }
  GiveBackFreeMemory();
  running.Decrement();
  parts_.metrics
      .Counter("floe_runner_attempts_total", "Attempts that ended, by kind and outcome",
               {{"kind", lease.kind}, {"outcome", std::string(jobs::OutcomeName(end.outcome))}})
      .Increment();
  const auto state = session.Finish(end, give_up);
  parts_.logger.Info("attempt ended",
                     {{"job", lease.job},
                      {"attempt", lease.attempt},
                      {"outcome", OutcomeName(end.outcome)},
                      {"state", state.ok() ? std::string(StateName(*state)) : std::string()},
                      {"error", state.ok() ? end.error : state.status().ToString()}});
  // A failed job's folder stays: its last checkpoint may be worth something to a person.
  if (folder && state.ok() &&
      (*state == jobs::State::kSucceeded || *state == jobs::State::kCancelled)) {
    const absl::Status removed = folder->Remove();
    if (!removed.ok()) parts_.logger.Warning("folder stays", {{"error", removed.ToString()}});
  }
}

absl::StatusOr<std::string> LeaseLoop::ExecuteInFolder(const jobs::Lease& lease, Session& session,
                                                       std::optional<WorkFolder>& folder) {
  const auto executor =
      std::find_if(parts_.executors.begin(), parts_.executors.end(),
                   [&](const Executor* candidate) { return candidate->kind() == lease.kind; });
  if (executor == parts_.executors.end()) {
    return absl::InternalError(absl::StrCat("the queue gave a job of kind ", lease.kind,
                                            ", which this runner does not execute"));
  }
  auto opened = WorkFolder::OpenWhenFree(options_.work_dir, lease.job_id, session.stop_token());
  if (!opened.ok()) return opened.status();
  folder.emplace(*std::move(opened));
  const Assignment assignment = {lease.job,  lease.job_id, lease.team,    lease.creator,
                                 lease.kind, lease.spec,   lease.attempt, folder->path()};
  JobGauges reporter(parts_.metrics, assignment, session.reporter());
  try {
    return (*executor)->Execute(assignment, reporter, session.stop_token());
  } catch (const std::exception& error) {
    // Executors translate what they know; whatever else is thrown ends the attempt, not the runner.
    return absl::InternalError(
        absl::StrCat("the executor of ", lease.kind, " threw: ", error.what()));
  }
}

}  // namespace floe::runner
