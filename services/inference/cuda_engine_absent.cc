#include "services/inference/cuda_engine.h"
#include "services/inference/device.h"

namespace floe::inference {

absl::Status CudaStatus() {
  return absl::FailedPreconditionError(
      "device is cuda, and this floe-inference was built without the engine for it; build with "
      "-DFLOE_ATEN_ENGINE=ON and a LibTorch that has CUDA, or compute with --device cpu");
}

absl::StatusOr<std::unique_ptr<Engine>> CreateCudaEngine(const model::Checkpoint&,
                                                         const AtenEngineOptions&) {
  return CudaStatus();
}

}  // namespace floe::inference
