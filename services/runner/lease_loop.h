// Takes jobs of one queue and executes them, one at a time.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "base/clock.h"
#include "services/jobs/client/lease_client.h"
#include "services/runner/executor.h"
#include "services/runner/session.h"
#include "services/runner/work_folder.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::runner {

struct LoopOptions {
  std::string queue;         // for people: `trainer`
  std::string runner;        // `host-pid`
  int64_t memory_bytes = 0;  // that a job may take; 0: not known
  std::filesystem::path work_dir;
  absl::Duration wait = absl::Seconds(20);  // of one call for work
  SessionOptions session;
};

// Borrows its parts.
class LeaseLoop {
 public:
  struct Parts {
    jobs::LeaseClient& queue;
    const std::vector<Executor*>& executors;
    const Clock& clock;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  LeaseLoop(const Parts& parts, LoopOptions options);

  // Returns soon after `stop` is requested: a job in work is handed back once its executor has
  // stopped at its checkpoint. `give_up` ends even the waiting for a queue that is away.
  void Run(std::stop_token stop, std::stop_token give_up);

 private:
  void ExecuteLease(const jobs::Lease& lease, std::stop_token stop, std::stop_token give_up);
  absl::StatusOr<std::string> ExecuteInFolder(const jobs::Lease& lease, Session& session,
                                              std::optional<WorkFolder>& folder);

  const Parts parts_;
  const LoopOptions options_;
  jobs::Runner self_;
};

// How an attempt ended, from what the executor returned and why it was asked to stop. Pure.
jobs::AttemptEnd EndOf(const absl::StatusOr<std::string>& result,
                       std::optional<StopReason> stop_reason);

}  // namespace floe::runner
