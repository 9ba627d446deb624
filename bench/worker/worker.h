// floe-inference in a process of its own, with the options that it has by default but for what is
// said here, and one random checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "bench/inference/workload.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "tests/support/child_process.h"

namespace floe::bench {

// The checkpoint that is asked for.
struct Served {
  std::string digest;
  model::Blueprint blueprint;
};

enum class Kept {
  kInCache,  // the worker fetched it before
  kInBlobs,  // the store has it
};

// Writes `model`, in 8 bits where `narrow`, to `folder`, where a worker finds it as `kept` says.
absl::StatusOr<Served> WriteServed(const std::filesystem::path& folder, const ServedModel& model,
                                   bool narrow, Kept kept);

// Ended by SIGTERM.
class Worker {
 public:
  // Returns when it serves, with the checkpoint loaded.
  static absl::StatusOr<std::unique_ptr<Worker>> Start(const std::filesystem::path& folder,
                                                       const Served& served);
  ~Worker();

  inference::v1::InferenceService::Stub& stub() { return *stub_; }

 private:
  test::ChildProcess process_;
  std::unique_ptr<inference::v1::InferenceService::Stub> stub_;
};

}  // namespace floe::bench
