// The composition of a runner: configuration and executors to a process that works until SIGTERM.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "services/runner/executor.h"
#include "services/runner/session.h"
#include "services/runtime/config.h"
#include "services/runtime/host.h"
#include "services/runtime/options.h"

namespace floe::runner {

struct RunnerOptions {
  runtime::CommonOptions common;
  std::vector<std::string> queues;   // name=host:port
  std::string registry;              // host:port of floe-registry
  std::vector<std::string> workers;  // host:port of those that score evaluations
  std::string work_dir;    // the jobs' folders; shared by runners that take over from another
  int threads = 0;         // that an executor computes with; 0: all of the machine's
  int64_t memory_mib = 0;  // that a job may take; 0: as the machine or the container has
  absl::Duration wait = absl::Seconds(20);  // of one call for work
  absl::Duration call_timeout = absl::Seconds(10);
  SessionOptions session;
};

// Adds every option of this binary, with its checks. Both must outlive `config`'s use.
void AddOptions(runtime::Config& config, RunnerOptions& options);

// `options.threads`, or the machine's when it is 0.
int ThreadsOf(const RunnerOptions& options);

// Works until SIGTERM: then each job in work is handed back once its executor has stopped. One job
// a queue is in work at a time. DEADLINE_EXCEEDED when an executor does not stop within the drain
// grace: then threads are still running, and only the end of the process is left (main.cc).
// Executors are borrowed.
absl::Status Run(runtime::Host& host, const RunnerOptions& options,
                 const std::vector<Executor*>& executors);

}  // namespace floe::runner
