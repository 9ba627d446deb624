// The composition of floe-alignment: configuration to parts to a served, drained process.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

#include "services/jobs/queue_options.h"
#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::services::alignment {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string registry;      // host:port of floe-registry
  std::string database_url;  // Postgres connection string of the job queue; a secret
  jobs::QueueOptions queue;
  int64_t runner_memory_mib = 0;  // that a job may take, while no runner tells; 0: not known
};

// Adds every option of this binary, with its checks. Both must outlive `config`'s use.
void AddOptions(runtime::Config& config, ServiceOptions& options);

// Serves until SIGTERM.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::services::alignment
