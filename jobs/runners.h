// The runners of a queue, as they present themselves when they ask for work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe::jobs {

struct Runner {
  std::string name;  // for people: `host-pid`
  std::vector<std::string> kinds;
  int64_t memory_bytes = 0;  // that a job may take there; 0: not told
};

// A runner that was not seen for so long, and holds no job, is taken to be gone.
inline constexpr absl::Duration kRunnerForgotten = absl::Minutes(5);

// Thread-safe.
class RunnerStore {
 public:
  virtual ~RunnerStore() = default;

  virtual absl::Status Note(const Runner& runner, absl::Time now) = 0;

  // The largest memory that a runner of `kind` told; 0 when none that is there has told any.
  virtual absl::StatusOr<int64_t> LargestMemory(const std::string& kind, absl::Time now) = 0;
};

}  // namespace floe::jobs
