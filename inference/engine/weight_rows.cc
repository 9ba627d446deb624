#include "inference/engine/weight_rows.h"

#include <algorithm>

#include "base/status_macros.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

// Rows of a tensor, each of `width` numbers of `size` bytes.
struct Cut {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t of = 0;  // all rows
  int64_t width = 0;
  int64_t size = 0;
  bool transposed = false;  // stored [width][of], and copied as [width][count]
};

absl::Status CopyCut(const model::Checkpoint& checkpoint, const model::TensorView& from,
                     const Cut& cut, std::vector<char>& to) {
  to.resize(static_cast<size_t>(cut.count * cut.width * cut.size));
  const auto copy = [&](int64_t at, int64_t numbers, int64_t into) {
    return checkpoint.Read(from.bytes.substr(static_cast<size_t>(at * cut.size),
                                             static_cast<size_t>(numbers * cut.size)),
                           to.data() + into * cut.size);
  };
  if (!cut.transposed) return copy(cut.begin * cut.width, cut.count * cut.width, 0);
  for (int64_t k = 0; k < cut.width; ++k) {
    FLOE_RETURN_IF_ERROR(copy(k * cut.of + cut.begin, cut.count, k * cut.count));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WeightRows::Copy(const model::Checkpoint& checkpoint,
                              const std::vector<WeightSource>& sources, int64_t in, int64_t begin,
                              int64_t end) {
  rows_.clear();
  numbers_.resize(sources.size());
  scales_.resize(sources.size());
  int64_t first = 0;  // row of a source
  for (size_t i = 0; i < sources.size(); ++i) {
    const WeightSource& source = sources[i];
    const int64_t from = std::max<int64_t>(0, begin - first);
    const int64_t to = std::min(source.out, end - first);
    first += source.out;
    if (from >= to) continue;
    const model::DType type = source.numbers.dtype;
    Cut cut{from, to - from, source.out, in, model::DTypeBytes(type), source.transposed};
    FLOE_RETURN_IF_ERROR(CopyCut(checkpoint, source.numbers, cut, numbers_[i]));
    PackedMatrix::Rows rows{numbers_[i].data(), cut.count, source.transposed, type};
    if (source.scales) {
      cut.width = model::QuantizationGroups(in);
      cut.size = model::DTypeBytes(source.scales->dtype);
      FLOE_RETURN_IF_ERROR(CopyCut(checkpoint, *source.scales, cut, scales_[i]));
      rows.scales = scales_[i].data();
    }
    rows_.push_back(rows);
  }
  return absl::OkStatus();
}

}  // namespace floe::inference
