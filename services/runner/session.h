// The runner's side of one lease: keeps it alive, brings the events to the queue, and hears when
// the work has to stop.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "services/jobs/client/lease_client.h"
#include "services/runner/event_buffer.h"
#include "services/runtime/logging.h"

namespace floe::runner {

// Why an executor is asked to stop.
enum class StopReason { kCancelled, kPaused, kHandBack, kLeaseLost };

struct SessionOptions {
  absl::Duration report_interval = absl::Milliseconds(250);  // events wait for company this long
  absl::Duration max_retry_delay = absl::Seconds(2);         // while the queue is away
  size_t batch = 256;                                        // events a call
  size_t buffer = 4096;                                      // events that wait at most
  int cores = 1;                                             // that the attempt holds
};

// Thread-safe. A thread of its own reports from construction to Finish() or destruction. While the
// queue is away the work goes on and events wait; only the answer that the lease is lost stops it.
class Session {
 public:
  // Borrows its arguments, the lease too.
  Session(jobs::LeaseClient& queue, const jobs::Lease& lease, const Clock& clock,
          const runtime::Logger& logger, SessionOptions options);
  ~Session();

  Reporter& reporter() { return buffer_; }
  std::stop_token stop_token() const { return stop_.get_token(); }

  // Asks the executor to stop; the first reason stands, except that a lost lease outdoes
  // all, and a cancellation a pause.
  void RequestStop(StopReason reason);
  std::optional<StopReason> stop_reason() const;

  // Ends the attempt after bringing every event; waits for the queue as long as it is away, until
  // `give_up` is requested (then CANCELLED: the lease will expire). ABORTED when the lease is lost.
  // Called once; events that come later are lost.
  absl::StatusOr<jobs::State> Finish(jobs::AttemptEnd end, std::stop_token give_up);

 private:
  // What to do after a call.
  enum class Next { kGoOn, kTryAgain, kLost };

  void Run(std::stop_token end);
  Next Beat();
  Next After(const absl::Status& status);
  absl::Duration RetryDelay() const;
  void StopThread();
  // So far, the cores' time since the session began included.
  jobs::Usage Used() const;
  // Waits on `mutex_` until `until`, a stop of `end`, or (when asked for) an event.
  void Pause(absl::Duration time, std::stop_token end, bool wake_for_events);

  jobs::LeaseClient& queue_;
  const jobs::Lease& lease_;
  const Clock& clock_;
  const absl::Duration started_;  // Clock::Monotonic
  const runtime::Logger logger_;
  const SessionOptions options_;
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<StopReason> reason_;  // guarded by mutex_
  bool has_events_ = false;           // guarded by mutex_: since the last call
  int failures_ = 0;                  // of calls in a row; used by one thread at a time
  EventBuffer buffer_;
  std::jthread thread_;  // last: stops before what it uses goes
};

}  // namespace floe::runner
