// What the trainer's settings mean for the memory of a run. Pure.
#pragma once

#include "model/training_memory.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

// As model/training_memory.h estimates it, for each process of a run. `precision` stays f32: with
// bf16 the trainer keeps f32 activations too.
model::TrainingMemoryOptions MemoryOptionsOf(const TrainSettings& train);

}  // namespace floe::trainer
