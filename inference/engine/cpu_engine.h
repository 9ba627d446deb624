// The engine on this machine's processor: own kernels over weights packed once at load.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"

#include "inference/engine/attention.h"
#include "inference/engine/engine.h"
#include "model/checkpoint.h"

namespace floe::inference {

struct CpuEngineOptions {
  int num_threads = 1;            // that compute, the caller of Step included
  int64_t kv_bytes = 256 << 20;   // memory of the KV cache; at least one block is made
  int64_t max_step_tokens = 256;  // sizes the activation buffers
  std::optional<KvType>
      kv_type;  // of keys and values; none: F16 beside weights in 8 bits, else F32
};

// What a block of the KV cache takes in the engine of this checkpoint.
int64_t KvBlockBytes(const model::Checkpoint& checkpoint, const CpuEngineOptions& options);

// Copies what it needs: `checkpoint` may go afterwards. Logits of floats, with keys
// and values in F32, agree with the trainer's transformer to 1e-4. Errors: those of LoadWeights,
// INVALID_ARGUMENT for options, RESOURCE_EXHAUSTED for memory.
absl::StatusOr<std::unique_ptr<Engine>> CreateCpuEngine(const model::Checkpoint& checkpoint,
                                                        const CpuEngineOptions& options);

}  // namespace floe::inference
