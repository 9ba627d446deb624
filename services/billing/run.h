// The composition of floe-billing: configuration to parts to a served, drained process.
#pragma once

#include <string>

#include "absl/status/status.h"

#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::services::billing {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string database_url;  // Postgres; a secret
  int database_connections = 8;
  std::string default_price_book;  // YAML file: published when there is no book at all
};

// Adds every option of this binary, with its checks. Both must outlive `config`'s use.
void AddOptions(runtime::Config& config, ServiceOptions& options);

// Migrates, then serves until SIGTERM.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::services::billing
