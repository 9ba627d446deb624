// What an alignment job needs of memory, before it is queued. Pure.
#pragma once

#include "model/blueprint.h"
#include "trainer/alignment/spec/align_spec.h"
#include "trainer/spec/memory.h"

namespace floe::trainer {

// With the longest texts that `spec` admits, whose sequence_length is known by now. `base` is the
// blueprint of the model to start from.
MemoryNeed AlignMemoryNeed(AlignKind kind, const model::Blueprint& base, const AlignSpec& spec);

}  // namespace floe::trainer
