// The composition of floe-gateway: configuration to parts to a served, drained process.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "services/gateway/http/limits.h"
#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::gateway {

struct ServiceOptions {
  runtime::CommonOptions common;  // `listen` is the door
  std::string http_listen = "127.0.0.1:0";
  std::string database_url;
  std::string registry;
  std::string tokenizer;
  std::string trainer;
  std::string alignment;
  std::vector<std::string> workers;
  std::string retrieval;    // host:port; empty: no passages, and the door knows no retrieval
  std::string billing;      // empty: nothing is charged
  std::string journal_dir;  // needed with billing
  std::string bootstrap_key;
  std::string redis_url;
  std::string policy_file;
  int http_threads = 2;
  int blocking_threads = 8;
  int cached_tokenizers = 16;
  int64_t max_body_bytes = HttpLimits().max_body_bytes;
  HttpLimits limits;
};

// Adds every option of this binary, with its checks. Both must outlive `config`'s use.
void AddOptions(ServiceOptions& options, runtime::Config& config);

// Serves until SIGTERM and has then drained.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::gateway
