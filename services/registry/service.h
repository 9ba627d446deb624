// The composition of floe-registry: configuration to parts to a served, drained process.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::registry {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string database_url;  // Postgres; a secret
  std::string blob_dir;      // the content-addressed store
  bool collect = false;      // remove unreferenced blobs and exit, instead of serving
  bool collect_dry_run = false;
  absl::Duration collect_grace = absl::Hours(24);
};

// Declares the options of floe-registry and their checks.
void AddOptions(ServiceOptions& options, runtime::Config& config);

// Serves until SIGTERM and has then drained; or migrates, or collects, and returns.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::registry
