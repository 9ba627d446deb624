// Which sequences take part in the next step: a pure function from a snapshot to a plan.
//
// The policy, in order:
//  1. Every decoding sequence gets its one token, oldest first. One that needs a block when none is
//  free
//     takes it from the youngest running sequence, which is pre-empted: it keeps its place in the
//     queue and is recomputed later, with the same tokens as outcome. So the oldest always moves
//     on.
//  2. Prompts share what is left of the step, beside decoders at most `prefill_tokens`, so that a
//  long
//     prompt stalls no decoder. Each gets an equal share, and what short ones leave goes to the
//     oldest: a short prompt does not wait for a long one.
//  3. Waiting sequences are admitted in order of arrival while there is a running slot and room for
//     all that they still have to compute. None overtakes: a large one is not starved by small
//     ones.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/scheduler/request.h"

namespace floe::inference {

struct PlanLimits {
  int64_t max_running = 16;
  int64_t max_step_tokens = 256;
  int64_t prefill_tokens = 128;  // of a step that also has decoders
};

struct SequenceState {
  RequestId id = 0;
  bool running = false;  // holds blocks; else it waits
  int64_t computed = 0;  // tokens in the KV cache
  int64_t pending = 0;   // tokens still to run, at least 1; 1 for a decoding sequence
  int64_t blocks = 0;    // held
  int64_t max_part = 0;  // most tokens that it takes in one step; 0 is no limit
};

struct Snapshot {
  std::vector<SequenceState> sequences;  // by arrival, oldest first
  int64_t free_blocks = 0;
  int64_t block_tokens = 16;
  PlanLimits limits;
};

struct PlannedPart {
  RequestId id = 0;
  int64_t tokens = 0;
  bool operator==(const PlannedPart&) const = default;
};

struct Plan {
  std::vector<RequestId> preempt;  // first: their blocks are counted on
  std::vector<PlannedPart> parts;
};

Plan PlanStep(const Snapshot& snapshot);

}  // namespace floe::inference
