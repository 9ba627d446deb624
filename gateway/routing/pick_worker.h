// Which worker computes a request. Pure: a snapshot in, a decision out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace floe::gateway {

struct WorkerState {
  std::string_view address;
  int64_t in_flight = 0;         // this gateway's calls
  int failures = 0;              // in a row; an answer ends the row
  absl::Duration resting_until;  // Clock::Monotonic: not asked before, unless nobody else is left
  bool excluded = false;         // this request has tried it already
};

// The index of the worker with the fewest calls among those that do not rest; between equals the
// one that ranks highest for the digest (rendezvous hashing), so that a checkpoint stays where it
// is loaded. When all rest, the one whose rest ends first. Nothing when all are excluded.
std::optional<size_t> PickWorker(const std::vector<WorkerState>& workers, std::string_view digest,
                                 absl::Duration now);

// How long a worker rests after that many failures in a row: doubling from 100 ms to 5 s.
absl::Duration RestAfter(int failures);

}  // namespace floe::gateway
