// What stands behind a plan's time: measured throughput of past training, or an assumption.
#pragma once

#include <string>
#include <vector>

namespace floe::cli {

// A past job, and what it sustained on one device.
struct PastRun {
  std::string job;     // its id
  std::string device;  // as its runner names it; empty: it did not say
  double flops_per_second = 0;
  double tokens_per_second = 0;  // of its own model
};

// Newest first. Without runs, `why` says why there are none: `--offline`, no fleet, …
struct Throughput {
  std::vector<PastRun> runs;
  std::string why;

  // The median of the runs, so that one bad day does not decide; 0 without any.
  double FlopsPerSecond() const;
};

}  // namespace floe::cli
