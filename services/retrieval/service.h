// floe-retrieval: private knowledge, found again with citations.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::retrieval {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string database_url;          // a secret
  std::string registry;              // host:port of floe-registry
  std::vector<std::string> workers;  // host:port of floe-inference, for embeddings
  int max_indexes = 64;              // collections whose vectors stay in memory
  absl::Duration reindex_interval = absl::Seconds(10);
};

// Declares the options of floe-retrieval and their check.
void AddOptions(ServiceOptions& options, runtime::Config& config);

// Serves until SIGTERM and has then drained.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::retrieval
