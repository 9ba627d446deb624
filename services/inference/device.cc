#include "services/inference/device.h"

#include "absl/strings/str_cat.h"

#include "base/view.h"
#include "model/quantization.h"
#include "services/inference/cuda_engine.h"

namespace floe::inference {
namespace {

absl::StatusOr<AtenDType> ParseDType(std::string_view name) {
  if (name == "f32") return AtenDType::kF32;
  if (name == "bf16") return AtenDType::kBf16;
  if (name == "f16") return AtenDType::kF16;
  return absl::InvalidArgumentError(
      absl::StrCat("dtype is '", AbslView(name), "'; it is f32, bf16 or f16"));
}

}  // namespace

absl::StatusOr<DeviceOptions> ChooseDevice(std::string_view device, std::string_view dtype,
                                           const absl::Status& cuda) {
  const absl::StatusOr<AtenDType> parsed = ParseDType(dtype);
  if (!parsed.ok()) return parsed.status();
  if (device == "cpu") {
    if (*parsed == AtenDType::kF32) return DeviceOptions();
    return absl::InvalidArgumentError(
        absl::StrCat("dtype is ", AbslView(dtype),
                     " and device is cpu, which computes in f32; leave --dtype out, or serve a "
                     "checkpoint in 8 bits to read less memory"));
  }
  if (device == "auto") return cuda.ok() ? DeviceOptions{true, *parsed} : DeviceOptions();
  if (device == "cuda") {
    if (!cuda.ok()) return cuda;
    return DeviceOptions{true, *parsed};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("device is '", AbslView(device), "'; it is cpu, cuda or auto"));
}

absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(const model::Checkpoint& checkpoint,
                                                   const CpuEngineOptions& options,
                                                   const DeviceOptions& device) {
  if (!device.cuda) return CreateCpuEngine(checkpoint, options);
  return CreateCudaEngine(checkpoint, {.device = AtenDevice::kCuda,
                                       .dtype = device.dtype,
                                       .kv_bytes = options.kv_bytes,
                                       .max_step_tokens = options.max_step_tokens});
}

// The CPU engine keeps matrices in 8 bits as they are; all else is widened.
int64_t WeightBytes(const model::Checkpoint& checkpoint, const DeviceOptions& device) {
  const bool stays = !device.cuda && checkpoint.weight_format() == model::WeightFormat::kInt8;
  const auto format = stays ? model::WeightFormat::kInt8 : model::WeightFormat::kFloat;
  const int64_t number = device.cuda ? AtenDTypeBytes(device.dtype) : sizeof(float);
  int64_t bytes = 0;
  for (const model::TensorSpec& spec : model::StoredTensorsOf(checkpoint.blueprint(), format)) {
    const auto stored = checkpoint.Tensor(spec.name);
    if (!stored.ok()) continue;
    bytes += stays ? static_cast<int64_t>(stored->bytes.size()) : stored->NumElements() * number;
  }
  return bytes;
}

absl::StatusOr<std::optional<KvType>> ParseKvType(std::string_view name) {
  if (name == "auto") return std::optional<KvType>();
  if (name == "f32") return KvType::kF32;
  if (name == "f16") return KvType::kF16;
  return absl::InvalidArgumentError(
      absl::StrCat("kv-dtype is '", AbslView(name), "'; it is auto, f32 or f16"));
}

int64_t KvBlockBytes(const model::Checkpoint& checkpoint, const CpuEngineOptions& options,
                     const DeviceOptions& device) {
  return device.cuda ? AtenKvBlockBytes(checkpoint.blueprint(), device.dtype)
                     : KvBlockBytes(checkpoint, options);
}

}  // namespace floe::inference
