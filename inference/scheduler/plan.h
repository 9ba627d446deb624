// Which sequences take part in the next step: a pure function from a snapshot to a plan.
//
// Precedence is by service tier, then by arrival. The policy, in order:
//  1. Every decoding sequence gets its one token. One that needs a block when none is free takes it
//     from the last running sequence by precedence, which is pre-empted: it keeps its place in the
//     queue and is recomputed later, with the same tokens as outcome. So the first always moves on.
//  2. Waiting sequences are admitted while there is a running slot and room for all that they still
//     have to compute. First goes the tier that lacks most of its guaranteed share of the work,
//     done lately or begun, so none starves; when none lacks any, the earliest deadline, over all
//     tiers; then, by tier, what is late already, since to hurry for it would only make others
//     late. Within a tier what was pre-empted goes first. One that does not fit keeps what is free
//     for itself: none of its own or a lower tier overtakes it. A waiting sequence takes the slot
//     and the blocks of running ones of lower tiers, as long as their tier has had its share of the
//     work done.
//  3. Prompts share what is left of the step, beside decoders at most `prefill_tokens`, so that a
//     long prompt stalls no decoder. Higher tiers take theirs first, down to the guaranteed shares
//     of the lower ones. Within a tier each gets an equal part, and what short ones leave goes to
//     the earliest deadline: a short prompt does not wait for a long one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

#include "inference/scheduler/request.h"

namespace floe::inference {

struct PlanLimits {
  int64_t max_running = 16;
  int64_t max_step_tokens = 256;
  int64_t prefill_tokens = 128;  // of a step that also has decoders
  // By tier: the part of the work, in [0, 1), that it is sure of while it waits for more. Their sum
  // is below 1; what is left goes by deadline.
  std::array<double, kNumTiers> guaranteed_share = {0.1, 0.3, 0.4};
};

struct SequenceState {
  RequestId id = 0;
  bool running = false;       // holds blocks; else it waits
  int64_t computed = 0;       // tokens in the KV cache
  int64_t pending = 0;        // tokens still to run, at least 1; 1 for a decoding sequence
  int64_t blocks = 0;         // held
  int64_t shared_blocks = 0;  // of them: held by others too, so that pre-empting frees them not
  int64_t max_part = 0;       // most tokens that it takes in one step; 0 is no limit
  int64_t answer = 0;         // tokens that are expected to follow the pending ones
  ServiceTier tier = ServiceTier::kDefault;
  bool resumed = false;  // waits again, after a pre-emption
  // Of its next token, by the clock of Snapshot::now.
  absl::Duration deadline = absl::InfiniteDuration();
};

struct Snapshot {
  std::vector<SequenceState> sequences;  // by arrival, oldest first
  int64_t free_blocks = 0;
  int64_t block_tokens = 16;
  PlanLimits limits;
  absl::Duration now;
  // By tier: tokens that were run lately, once each; old ones fade.
  std::array<double, kNumTiers> worked = {};
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
