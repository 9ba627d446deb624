// The composition of floe-trainer: configuration to parts to a served, drained process.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::services::trainer {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string registry;      // host:port of floe-registry
  std::string database_url;  // Postgres connection string of the job queue; a secret
  absl::Duration lease = absl::Seconds(30);              // a silent runner is given up after this
  absl::Duration heartbeat_interval = absl::Seconds(5);  // how often a runner has to call
  int64_t runner_memory_mib = 0;                         // that a job may take; 0: not known
  int running_jobs_per_team = 0;                         // at the same time at most; 0: any
};

// Adds every option of this binary, with its checks. Both must outlive `config`'s use.
void AddOptions(runtime::Config& config, ServiceOptions& options);

// Serves until SIGTERM.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::services::trainer
