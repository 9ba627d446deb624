// What every engine refuses, before anything has changed.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

#include "inference/engine/engine.h"
#include "inference/engine/kv_blocks.h"
#include "model/blueprint.h"

namespace floe::inference {

// Engine::Reserve: OUT_OF_RANGE past the context, else as the blocks say.
absl::Status ReserveTokens(const model::Blueprint& blueprint, KvBlocks& kv, SequenceId sequence,
                           int64_t tokens);

// Checks the parts of a step as Engine::Step says and reserves their tokens. Where it is refused,
// nothing has changed.
absl::Status ReserveStep(const model::Blueprint& blueprint, KvBlocks& kv, int64_t max_step_tokens,
                         std::span<const SequenceStep> steps);

}  // namespace floe::inference
