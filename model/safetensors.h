// The safetensors format: a 64-bit little-endian header length, a JSON header, raw tensor bytes.
// Source: huggingface/safetensors, README "Format". Every rule of the format is checked on reading,
// since a file may come from anyone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"

namespace floe::model {

enum class DType { kF32, kF16, kBF16, kI8 };

int64_t DTypeBytes(DType dtype);
std::string_view DTypeName(DType dtype);  // "F32", …

// A borrowed tensor: `bytes` are row-major, little-endian, and live as long as the file that gave
// them.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string_view bytes;

  int64_t NumElements() const;
  // The elements as 32-bit floats, converted where the stored type is narrower. Of quantised
  // weights (model/quantization.h) that is the whole numbers without their scales.
  std::vector<float> ToFloats() const;
};

// Where each tensor lies; the outcome of reading a header.
struct SafetensorsHeader {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
};

// Parses a whole file held in memory. INVALID_ARGUMENT says which rule is broken and where. Views
// borrow `file`. Never reads outside `file`; memory used is bounded by a small multiple of the
// header.
absl::StatusOr<SafetensorsHeader> ParseSafetensors(std::string_view file);
// The same, looking at copies alone: DATA_LOSS when the file was cut short since it was opened.
absl::StatusOr<SafetensorsHeader> ParseSafetensors(const MappedFile& file);

// Writes atomically; tensors in the order given, 4-byte alignment not needed as only whole elements
// are stored, header padded with spaces to 8 bytes. Bytes are borrowed for the call.
struct NamedTensor {
  std::string name;
  TensorView tensor;
};
absl::Status WriteSafetensors(const std::filesystem::path& path,
                              const std::vector<NamedTensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace floe::model
