// What a request must be for a model and its KV cache, whatever else is going on.
#pragma once

#include "absl/status/status.h"

#include "inference/engine/engine.h"
#include "inference/scheduler/request.h"
#include "model/blueprint.h"

namespace floe::inference {

// INVALID_ARGUMENT says which part is wrong; RESOURCE_EXHAUSTED when it could never fit `kv`.
absl::Status CheckRequest(const Request& request, const model::Blueprint& blueprint,
                          const KvUsage& kv);

}  // namespace floe::inference
