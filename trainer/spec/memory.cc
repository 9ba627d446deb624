#include "trainer/spec/memory.h"

#include <algorithm>

namespace floe::trainer {

model::TrainingMemoryOptions MemoryOptionsOf(const TrainSettings& train) {
  const int64_t processes = train.processes;
  const int64_t sequences = train.batch_size * train.gradient_accumulation;
  model::TrainingMemoryOptions options;
  // A process takes its share of the step's sequences, in micro-batches of up to batch_size.
  options.batch_size = std::min(train.batch_size, (sequences + processes - 1) / processes);
  options.sequence_length = train.sequence_length;
  options.optimizer = train.optimizer == OptimizerKind::kMuon ? model::OptimizerKind::kMuon
                                                              : model::OptimizerKind::kAdamW;
  options.activation_checkpointing = train.activation_checkpointing;
  options.devices = processes;
  options.shard_optimizer = processes > 1;
  return options;
}

}  // namespace floe::trainer
