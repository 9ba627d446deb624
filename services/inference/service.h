// floe-inference: a worker that computes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "inference/scheduler/tier_targets.h"
#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::inference {

struct ServiceOptions {
  runtime::CommonOptions common;
  std::string blob_dir;   // shared content-addressed store; or
  std::string registry;   // host:port of the registry
  std::string cache_dir;  // verified checkpoints of this machine
  std::vector<std::string> preload;
  std::string billing;      // host:port: where attempts are reported
  std::string journal_dir;  // their records until then; empty: none are kept
  std::string device = "cpu";
  std::string dtype = "f32";
  std::string kv_dtype = "auto";
  int threads = 0;  // 0: all of the machine's
  int64_t memory_mib = 8192;
  int64_t kv_mib = 512;
  int64_t max_running = 16;
  int64_t max_step_tokens = 256;
  int64_t prefill_tokens = 128;
  int64_t draft_tokens = 0;               // guesses for one sequence in one step
  std::vector<std::string> draft_models;  // digests
  int64_t max_waiting = 256;
  int64_t max_waiting_tokens = 262'144;
  TierTargets targets;
  double flex_share = 0.1;  // of the work, guaranteed while flex waits
  double default_share = 0.3;
  double priority_share = 0.4;
};

// Declares the options of floe-inference and their check.
void AddOptions(ServiceOptions& options, runtime::Config& config);

// Threads of the gRPC server for which every refusal is the scheduler's: each call that runs or
// waits holds one, in as many models as the memory may hold. --max-threads where that is more.
int ServerThreads(const ServiceOptions& options);

// Serves until SIGTERM and has then drained.
absl::Status RunService(const ServiceOptions& options, const runtime::Config& config);

}  // namespace floe::inference
