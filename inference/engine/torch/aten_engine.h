// The engine over LibTorch's operators: for CUDA devices, and on the processor for tests.
//
// The interface and the bookkeeping of blocks are the CPU engine's, so that scheduler, prefix cache
// and guesses work alike. The arithmetic is LibTorch's: logits agree with the CPU engine's to 1e-4
// in 32 bits, and the last bits of a sequence's logits may depend on what else is in the step.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/engine/attention.h"
#include "inference/engine/engine.h"
#include "model/blueprint.h"
#include "model/checkpoint.h"

namespace floe::inference {

enum class AtenDevice { kCpu, kCuda };

// Of weights, keys and values; norms, RoPE, softmax and the residual stream are in 32 bits always.
enum class AtenDType { kF32, kBf16, kF16 };

struct AtenEngineOptions {
  AtenDevice device = AtenDevice::kCpu;
  AtenDType dtype = AtenDType::kF32;
  int64_t kv_bytes = 256 << 20;   // memory of the KV cache; at least one block is made
  int64_t max_step_tokens = 256;  // bounds the activations
};

inline int64_t AtenDTypeBytes(AtenDType dtype) { return dtype == AtenDType::kF32 ? 4 : 2; }

// Bytes of one block of the KV cache: 16 tokens of all layers and key/value heads.
inline int64_t AtenKvBlockBytes(const model::Blueprint& blueprint, AtenDType dtype) {
  return 2 * blueprint.num_layers * blueprint.num_kv_heads * blueprint.head_dim * kKvBlockTokens *
         AtenDTypeBytes(dtype);
}

// OK when LibTorch sees a CUDA device, else FAILED_PRECONDITION.
absl::Status CheckCuda();

// Copies what it needs: `checkpoint` may go afterwards. Weights in 8 bits are widened. Errors:
// INVALID_ARGUMENT for options and for tensors of a wrong shape, DATA_LOSS for one that holds a NaN
// or an infinity, RESOURCE_EXHAUSTED for memory, FAILED_PRECONDITION without the device. A step
// whose operators fail (INTERNAL, RESOURCE_EXHAUSTED) leaves every sequence with its tokens.
absl::StatusOr<std::unique_ptr<Engine>> CreateAtenEngine(const model::Checkpoint& checkpoint,
                                                         const AtenEngineOptions& options);

}  // namespace floe::inference
