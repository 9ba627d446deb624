// What computes for this worker, by --device and --dtype: the CPU engine, or the one over LibTorch
// on a CUDA device where it is built (FLOE_ATEN_ENGINE).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/torch/aten_engine.h"
#include "model/checkpoint.h"

namespace floe::inference {

struct DeviceOptions {
  bool cuda = false;
  AtenDType dtype = AtenDType::kF32;  // on a CUDA device; the CPU engine computes in 32 bits
};

// `device`: cpu, cuda, or auto, which is cuda where `cuda` is OK. `dtype`: f32, bf16 or f16.
// INVALID_ARGUMENT for other words and for a dtype that the CPU engine was asked for; the error of
// `cuda` where it is asked for and not to be had. Pure.
absl::StatusOr<DeviceOptions> ChooseDevice(std::string_view device, std::string_view dtype,
                                           const absl::Status& cuda);

// OK when this program can compute on a CUDA device, else why not and what to do.
absl::Status CudaStatus();

// The engine of `device`, by the options of the CPU engine.
absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(const model::Checkpoint& checkpoint,
                                                   const CpuEngineOptions& options,
                                                   const DeviceOptions& device);

// Of the CPU engine's keys and values: f32, f16, or auto, which is none (CpuEngineOptions).
// INVALID_ARGUMENT for other words. Pure.
absl::StatusOr<std::optional<KvType>> ParseKvType(std::string_view name);

// What its weights take, and a block of its KV cache.
int64_t WeightBytes(const model::Checkpoint& checkpoint, const DeviceOptions& device);
int64_t KvBlockBytes(const model::Checkpoint& checkpoint, const CpuEngineOptions& options,
                     const DeviceOptions& device);

}  // namespace floe::inference
