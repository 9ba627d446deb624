// Whether a job fits the memory of the runners, before it is queued. Pure.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "model/blueprint.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::services::trainer {

// The estimate (model/training_memory.h) of all processes together, which share one machine.
int64_t NeededMemory(const model::Blueprint& blueprint, const floe::trainer::TrainSettings& train);

// INVALID_ARGUMENT when the estimate is more than `runner_memory_mib`; it names the parts and what
// to change. OK when the memory is not known (0). The blueprint is valid and has its vocabulary.
absl::Status CheckMemory(const model::Blueprint& blueprint,
                         const floe::trainer::TrainSettings& train, int64_t runner_memory_mib);

}  // namespace floe::services::trainer
