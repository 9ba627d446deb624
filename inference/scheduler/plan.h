// Which sequences take part in the next step: a pure function from a snapshot to a plan.
//
// Precedence is by service tier, then by arrival. The policy, in order:
//  1. Every decoding sequence gets its one token. One that needs a block when none is free takes it
//     from the last running sequence by precedence, which is pre-empted: it keeps its place in the
//     queue and is recomputed later, with the same tokens as outcome. So the first always moves on.
//  2. Waiting sequences are admitted while there is a running slot and room for all that they still
//     have to compute; the first that does not fit ends it, so none overtakes. Higher tiers go
//     first, but a tier that has had less than its guaranteed share of what was admitted lately
//     goes before them: none starves. A waiting sequence takes the slot and the blocks of running
//     ones of lower tiers, as long as their tier has had its share.
//  3. Prompts share what is left of the step, beside decoders at most `prefill_tokens`, so that a
//     long prompt stalls no decoder. Higher tiers take theirs first, down to the guaranteed shares
//     of the lower ones. Within a tier each gets an equal part, and what short ones leave goes to
//     the oldest: a short prompt does not wait for a long one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "inference/scheduler/request.h"

namespace floe::inference {

struct PlanLimits {
  int64_t max_running = 16;
  int64_t max_step_tokens = 256;
  int64_t prefill_tokens = 128;  // of a step that also has decoders
  // By tier: the part of the work, in [0, 1), that it is sure of while it waits for more. Their sum
  // is below 1; what is left goes by tier.
  std::array<double, kNumTiers> guaranteed_share = {0.1, 0.3, 0.0};
};

struct SequenceState {
  RequestId id = 0;
  bool running = false;       // holds blocks; else it waits
  int64_t computed = 0;       // tokens in the KV cache
  int64_t pending = 0;        // tokens still to run, at least 1; 1 for a decoding sequence
  int64_t blocks = 0;         // held
  int64_t shared_blocks = 0;  // of them: held by others too, so that pre-empting frees them not
  int64_t max_part = 0;       // most tokens that it takes in one step; 0 is no limit
  ServiceTier tier = ServiceTier::kDefault;
};

struct Snapshot {
  std::vector<SequenceState> sequences;  // by arrival, oldest first
  int64_t free_blocks = 0;
  int64_t block_tokens = 16;
  PlanLimits limits;
  // By tier: tokens that were admitted lately (prompt and most new ones); old ones fade.
  std::array<double, kNumTiers> admitted = {};
};

struct PlannedPart {
  RequestId id = 0;
  int64_t tokens = 0;
  bool operator==(const PlannedPart&) const = default;
};

struct Plan {
  std::vector<RequestId> preempt;  // first: their blocks are counted on
  std::vector<PlannedPart> parts;  // by arrival
};

Plan PlanStep(const Snapshot& snapshot);

}  // namespace floe::inference
