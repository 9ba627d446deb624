// What the trainer's settings mean for the memory of a run, and whether a runner has so much,
// before a job is queued. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

#include "model/blueprint.h"
#include "model/training_memory.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

// As model/training_memory.h estimates it, for each process of a run. `precision` stays f32: with
// bf16 the trainer keeps f32 activations too.
model::TrainingMemoryOptions MemoryOptionsOf(const TrainSettings& train);

// Of a job, whose processes share one machine.
struct MemoryNeed {
  model::TrainingMemory of_process;
  int64_t processes = 1;

  int64_t Total() const;  // of all of them
};

// The blueprint is valid and has its vocabulary.
MemoryNeed MemoryNeedOf(const model::Blueprint& blueprint, const TrainSettings& train);

// INVALID_ARGUMENT when the need is more than `runner_memory_mib`: it names the parts, and says to
// do what `remedy` says. OK when the memory is not known (0).
absl::Status CheckMemory(const MemoryNeed& need, int64_t runner_memory_mib,
                         std::string_view remedy);

}  // namespace floe::trainer
