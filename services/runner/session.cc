#include "services/runner/session.h"

#include <algorithm>
#include <utility>

#include "base/error_reason.h"

namespace floe::runner {
namespace {

bool IsLeaseLost(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  // A job that is not there any more is as lost as one that somebody else works on.
  return absl::IsNotFound(status) || (reason && reason->reason == jobs::kLeaseLost);
}

}  // namespace

Session::Session(jobs::LeaseClient& queue, const jobs::Lease& lease, const Clock& clock,
                 const runtime::Logger& logger, SessionOptions options)
    : queue_(queue),
      lease_(lease),
      clock_(clock),
      started_(clock.Monotonic()),
      logger_(logger),
      options_(options),
      buffer_(clock, {.attempt = lease.attempt,
                      .last_sequence = lease.last_sequence,
                      .capacity = options.buffer,
                      .on_event =
                          [this] {
                            {
                              std::lock_guard lock(mutex_);
                              has_events_ = true;
                            }
                            wake_.notify_all();
                          }}),
      thread_([this](std::stop_token end) { Run(end); }) {}

Session::~Session() { StopThread(); }

void Session::StopThread() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

jobs::Usage Session::Used() const {
  jobs::Usage used = buffer_.used();
  used.core_time = (clock_.Monotonic() - started_) * options_.cores;
  return used;
}

void Session::RequestStop(StopReason reason) {
  {
    std::lock_guard lock(mutex_);
    const bool outdoes = reason == StopReason::kLeaseLost ||
                         (reason == StopReason::kCancelled && reason_ == StopReason::kPaused);
    if (!reason_ || outdoes) reason_ = reason;
  }
  stop_.request_stop();
}

std::optional<StopReason> Session::stop_reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

absl::Duration Session::RetryDelay() const {
  absl::Duration delay = options_.report_interval;
  for (int i = 1; i < failures_ && delay < options_.max_retry_delay; ++i) delay *= 2;
  return std::min(delay, options_.max_retry_delay);
}

void Session::Pause(absl::Duration time, std::stop_token end, bool wake_for_events) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, end, absl::ToChronoNanoseconds(time),
                 [&] { return wake_for_events && has_events_; });
}

void Session::Run(std::stop_token end) {
  while (!end.stop_requested()) {
    const Next next = Beat();
    if (next == Next::kLost) return RequestStop(StopReason::kLeaseLost);
    if (next == Next::kTryAgain) {
      Pause(RetryDelay(), end, false);
      continue;
    }
    Pause(lease_.heartbeat_interval, end, true);  // until something happens
    Pause(options_.report_interval, end, false);  // and more of it
  }
}

Session::Next Session::Beat() {
  {
    std::lock_guard lock(mutex_);
    has_events_ = false;
  }
  const auto answer = queue_.Heartbeat(lease_, buffer_.Batch(options_.batch), Used());
  if (!answer.ok()) return After(answer.status());
  failures_ = 0;
  buffer_.Acknowledge(answer->last_sequence);
  if (answer->cancel_requested) RequestStop(StopReason::kCancelled);
  if (answer->pause_requested) RequestStop(StopReason::kPaused);
  if (buffer_.waiting() > 0) {
    std::lock_guard lock(mutex_);
    has_events_ = true;
  }
  return Next::kGoOn;
}

Session::Next Session::After(const absl::Status& status) {
  if (IsLeaseLost(status)) {
    logger_.Warning("lease lost", {{"job", lease_.job}, {"error", status.ToString()}});
    return Next::kLost;
  }
  if (absl::IsInvalidArgument(status)) {
    // Sent again it would be refused again, and hold up all that follows.
    logger_.Error("the queue refused events", {{"job", lease_.job}, {"error", status.ToString()}});
    buffer_.DropNumbered();
  }
  if (++failures_ == 1) {  // said once an outage
    logger_.Warning("the queue is away; the work goes on",
                    {{"job", lease_.job}, {"error", status.ToString()}});
  }
  return Next::kTryAgain;
}

absl::StatusOr<jobs::State> Session::Finish(jobs::AttemptEnd end, std::stop_token give_up) {
  StopThread();
  end.attempt = lease_.attempt;
  end.used = Used();
  while (true) {
    if (stop_reason() == StopReason::kLeaseLost) {
      return absl::AbortedError("the lease was lost before the attempt could be ended");
    }
    Next next = Next::kGoOn;
    if (buffer_.waiting() > options_.batch) {
      next = Beat();
    } else {
      end.events = buffer_.Batch(options_.batch);
      const auto state = queue_.Finish(lease_, end);
      if (state.ok()) return *state;
      next = After(state.status());
    }
    if (next == Next::kLost) RequestStop(StopReason::kLeaseLost);
    if (give_up.stop_requested()) {
      return absl::CancelledError("gave up: the queue did not hear how the attempt ended");
    }
    if (next == Next::kTryAgain) Pause(RetryDelay(), give_up, false);
  }
}

}  // namespace floe::runner
