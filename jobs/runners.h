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

// Those of one kind that are there.
struct RunnersOfKind {
  int64_t count = 0;
  int64_t untold = 0;          // of them: have not told their memory
  int64_t largest_memory = 0;  // of those that have; 0: none has
};

// For people: why none of them takes a job of `kind` that needs so much memory (0: not known);
// empty when one may. Pure.
std::string WhyNoRunner(const RunnersOfKind& runners, const std::string& kind,
                        int64_t memory_bytes);

// Thread-safe.
class RunnerStore {
 public:
  virtual ~RunnerStore() = default;

  virtual absl::Status Note(const Runner& runner, absl::Time now) = 0;

  virtual absl::StatusOr<RunnersOfKind> OfKind(const std::string& kind, absl::Time now) = 0;
};

}  // namespace floe::jobs
