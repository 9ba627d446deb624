// The header of a saved training state, in JSON: where the run stood, and which tensors follow.
// Values; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "trainer/batch_source.h"

namespace floe::trainer {

// Everything but the tensors.
struct TrainingPosition {
  int64_t step = 0;  // optimizer steps done
  DataCursor cursor;
  int64_t tokens = 0;          // trained on so far
  int threads = 0;             // sums of floats follow the number of threads
  int processes = 1;           // and of processes
  std::string run;             // what the run is: blueprint, settings, data; see Pretrainer
  double last_loss = 0;        // of the last step
  double held_out = 0;         // the last held-out loss; 0: none yet
  double seconds = 0;          // spent training so far
  double best_held_out = 0;    // 0: none yet
  int64_t best_step = 0;       // where it was measured
  int64_t worse_in_a_row = 0;  // held-out losses since then
  double mean_loss = 0;        // of the recent steps
  int64_t rewinds = 0;         // so far
  bool operator==(const TrainingPosition&) const = default;
};

struct StateHeader {
  TrainingPosition position;
  std::vector<std::pair<std::string, uint64_t>> tensors;  // name and length, in the file's order
  bool operator==(const StateHeader&) const = default;
};

std::string StateHeaderJson(const StateHeader& header);

// The way back. What a state of an earlier version lacks keeps its default; unknown members are
// left alone. INVALID_ARGUMENT names the member that is missing, of another type, not a count where
// one is meant, or beyond its range; a tensor that stands twice; and random numbers that stand
// still.
absl::StatusOr<StateHeader> ParseStateHeader(std::string_view json);

}  // namespace floe::trainer
