#include "model/quantization.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/checkpoint.h"
#include "model/half.h"

namespace floe::model {
namespace {

constexpr float kLargestNumber = 127;
constexpr uint16_t kHalfInfinity = 0x7c00;
constexpr uint64_t kMaxTokenizerFile = 256 << 20;

std::string_view BytesOf(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

bool IsTokenizerFile(const std::string& name) {
  return name == "tokenizer.json" || name == "tokenizer_config.json";
}

}  // namespace

std::string_view WeightFormatName(WeightFormat format) {
  return format == WeightFormat::kInt8 ? "int8" : "float";
}

std::string ScaleName(std::string_view name) { return absl::StrCat(AbslView(name), "_scale"); }

bool IsQuantized(const TensorSpec& spec) {
  return spec.shape.size() == 2 && !absl::EndsWith(spec.name, ".wpe.weight");
}

MatrixLayout LayoutOf(const TensorSpec& spec) {
  if (absl::StrContains(spec.name, "transformer.h.")) return {spec.shape[1], spec.shape[0], true};
  return {spec.shape[0], spec.shape[1], false};
}

std::vector<TensorSpec> StoredTensorsOf(const Blueprint& blueprint, WeightFormat format) {
  const std::vector<TensorSpec> specs = TensorsOf(blueprint);
  if (format == WeightFormat::kFloat) return specs;
  std::vector<TensorSpec> stored;
  for (const TensorSpec& spec : specs) {
    stored.push_back(spec);
    if (!IsQuantized(spec)) continue;
    const MatrixLayout layout = LayoutOf(spec);
    const int64_t groups = QuantizationGroups(layout.in);
    stored.push_back({ScaleName(spec.name), layout.transposed
                                                ? std::vector<int64_t>{groups, layout.out}
                                                : std::vector<int64_t>{layout.out, groups}});
  }
  return stored;
}

absl::StatusOr<QuantizedMatrix> Quantize(std::span<const float> weights,
                                         const MatrixLayout& layout) {
  const int64_t groups = QuantizationGroups(layout.in);
  QuantizedMatrix matrix;
  matrix.numbers.resize(weights.size());
  matrix.scales.resize(static_cast<size_t>(layout.out * groups));
  for (int64_t row = 0; row < layout.out; ++row) {
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t begin = group * kQuantizationGroup;
      const int64_t end = std::min(layout.in, begin + kQuantizationGroup);
      float largest = 0;
      for (int64_t k = begin; k < end; ++k) {
        largest = std::max(largest, std::abs(weights[static_cast<size_t>(layout.At(row, k))]));
      }
      uint16_t bits = FloatToHalf(largest / kLargestNumber);
      if (HalfToFloat(bits) * kLargestNumber < largest) ++bits;
      if (bits >= kHalfInfinity) {
        return absl::OutOfRangeError(absl::StrCat("row ", row, " holds ", largest,
                                                  ", which 8 bits and an F16 scale cannot hold"));
      }
      matrix.scales[static_cast<size_t>(layout.ScaleAt(row, group))] = bits;
      if (bits == 0) continue;
      const float scale = HalfToFloat(bits);
      for (int64_t k = begin; k < end; ++k) {
        const auto at = static_cast<size_t>(layout.At(row, k));
        matrix.numbers[at] = static_cast<int8_t>(std::round(weights[at] / scale));
      }
    }
  }
  return matrix;
}

absl::StatusOr<std::string> QuantizeCheckpoint(const Checkpoint& source,
                                               const std::filesystem::path& folder) {
  if (source.weight_format() != WeightFormat::kFloat) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint ", source.folder().string(), " holds 8-bit weights already"));
  }
  CheckpointContents contents{.blueprint = source.blueprint(),
                              .parents = source.manifest().parents,
                              .weight_format = WeightFormat::kInt8};
  contents.parents.checkpoint = source.digest();
  for (const auto& [name, entry] : source.manifest().files) {
    if (!IsTokenizerFile(name)) continue;
    FLOE_ASSIGN_OR_RETURN(contents.tokenizer_files[name],
                          ReadFile(source.folder() / name, kMaxTokenizerFile));
  }
  std::map<std::string, QuantizedMatrix> matrices;  // what the contents borrow
  for (const TensorSpec& spec : TensorsOf(source.blueprint())) {
    FLOE_ASSIGN_OR_RETURN(const TensorView view, source.Tensor(spec.name));
    if (!IsQuantized(spec)) {
      contents.tensors.push_back({spec.name, view});
      continue;
    }
    const MatrixLayout layout = LayoutOf(spec);
    FLOE_ASSIGN_OR_RETURN(const std::vector<float> floats, source.Floats(view));
    absl::StatusOr<QuantizedMatrix> quantized = Quantize(floats, layout);
    if (!quantized.ok()) {
      return absl::Status(quantized.status().code(),
                          absl::StrCat(spec.name, ": ", quantized.status().message()));
    }
    const QuantizedMatrix& matrix = matrices[spec.name] = *std::move(quantized);
    contents.tensors.push_back(
        {spec.name,
         {DType::kI8, spec.shape, BytesOf(matrix.numbers.data(), matrix.numbers.size())}});
    const int64_t groups = QuantizationGroups(layout.in);
    contents.tensors.push_back(
        {ScaleName(spec.name),
         {DType::kF16,
          layout.transposed ? std::vector<int64_t>{groups, layout.out}
                            : std::vector<int64_t>{layout.out, groups},
          BytesOf(matrix.scales.data(), matrix.scales.size() * sizeof(uint16_t))}});
  }
  return WriteCheckpoint(folder, contents);
}

}  // namespace floe::model
