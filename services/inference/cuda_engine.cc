#include "services/inference/cuda_engine.h"

#include "services/inference/device.h"

namespace floe::inference {

absl::Status CudaStatus() { return CheckCuda(); }

absl::StatusOr<std::unique_ptr<Engine>> CreateCudaEngine(const model::Checkpoint& checkpoint,
                                                         const AtenEngineOptions& options) {
  return CreateAtenEngine(checkpoint, options);
}

}  // namespace floe::inference
