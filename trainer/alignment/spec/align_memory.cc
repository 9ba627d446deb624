#include "trainer/alignment/spec/align_memory.h"

namespace floe::trainer {

MemoryNeed AlignMemoryNeed(AlignKind kind, const model::Blueprint& base, const AlignSpec& spec) {
  TrainSettings train = spec.train;
  train.sequence_length = spec.sequence_length;
  // The preferred and the other answer go through the model together; what the reference thinks of
  // them is computed before, by the same weights.
  if (kind == AlignKind::kDpo) train.batch_size *= 2;
  return MemoryNeedOf(base, train);
}

}  // namespace floe::trainer
