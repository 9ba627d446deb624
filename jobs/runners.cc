#include "jobs/runners.h"

#include "absl/strings/str_format.h"

namespace floe::jobs {

std::string WhyNoRunner(const RunnersOfKind& runners, const std::string& kind,
                        int64_t memory_bytes) {
  if (runners.count == 0) {
    return absl::StrFormat(
        "no runner of %s jobs is there: none has asked for work in the last %d "
        "minutes",
        kind, absl::ToInt64Minutes(kRunnerForgotten));
  }
  if (runners.untold > 0 || memory_bytes <= runners.largest_memory) return "";
  const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  return absl::StrFormat(
      "it needs about %.1f GiB, and the largest runner of %s jobs has %.1f GiB: "
      "it waits for one with more",
      gib(memory_bytes), kind, gib(runners.largest_memory));
}

}  // namespace floe::jobs
