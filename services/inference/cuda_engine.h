// The engine on CUDA devices, which a build has or has not: cuda_engine.cc over LibTorch, or
// cuda_engine_absent.cc, which says what to build (FLOE_ATEN_ENGINE in CMakeLists.txt).
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "inference/engine/torch/aten_engine.h"
#include "model/checkpoint.h"

namespace floe::inference {

absl::StatusOr<std::unique_ptr<Engine>> CreateCudaEngine(const model::Checkpoint& checkpoint,
                                                         const AtenEngineOptions& options);

}  // namespace floe::inference
