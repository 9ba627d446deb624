// floe-inference as a process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "floe/inference/v1/inference.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

struct WorkerProcessOptions {
  std::string blobs;     // the folder that it takes checkpoints from; or
  std::string registry;  // host:port
  std::string preload;   // a digest; empty: none
  std::string billing;   // host:port; empty: it keeps no records
  absl::Duration drain_grace = absl::Seconds(20);
};

struct WorkerLoad {
  int64_t running = 0;    // requests that it computes now
  int64_t kv_blocks = 0;  // that they hold
};

// Started and ready, or the test dies. Main thread only (see ChildProcess).
class WorkerProcess {
 public:
  explicit WorkerProcess(const WorkerProcessOptions& options);

  const std::string& address() const { return address_; }
  // What bills call it.
  std::string name() const;
  std::string Log() const;
  // Nothing when it does not answer.
  WorkerLoad load();
  absl::Status Unload(const std::string& digest);
  test::ChildProcess& process() { return process_; }

 private:
  test::TempDir dir_;
  test::ChildProcess process_;
  std::string address_;
  std::unique_ptr<inference::v1::InferenceService::Stub> stub_;
};

}  // namespace floe::gateway
