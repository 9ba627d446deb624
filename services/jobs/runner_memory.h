// What memory the runners have for a job: for services that estimate, before a job is queued, what
// it will need.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "jobs/runners.h"
#include "services/runtime/config.h"

namespace floe::jobs {

// Thread-safe. Borrows its parts.
class RunnerMemory {
 public:
  // `usual_mib` stands for a runner's memory while none has told its own; 0: not known.
  RunnerMemory(RunnerStore& runners, const Clock& clock, int64_t usual_mib)
      : runners_(runners), clock_(clock), usual_mib_(usual_mib) {}

  // Of the largest runner that takes jobs of `kind`; 0: not known.
  absl::StatusOr<int64_t> LargestMib(const std::string& kind) const;

 private:
  RunnerStore& runners_;
  const Clock& clock_;
  const int64_t usual_mib_;
};

// `--runner-memory-mib`, for usual_mib, with its check. Both must outlive `config`'s use.
void AddRunnerMemoryOption(runtime::Config& config, int64_t& usual_mib);

}  // namespace floe::jobs
