#include "inference/engine/packed_matrix.h"

namespace floe::inference {

PackedMatrix::PackedMatrix(const std::vector<Rows>& sources, int64_t in) : in_(in) {
  for (const Rows& source : sources) out_ += source.count;
  data_ = AlignedFloats(num_panels() * kPanelColumns * in_);
  int64_t row = 0;
  for (const Rows& source : sources) {
    for (int64_t r = 0; r < source.count; ++r, ++row) {
      float* to = data_.data() + (row / kPanelColumns) * in_ * kPanelColumns + row % kPanelColumns;
      const float* from = source.weights + r * (source.transposed ? 1 : in_);
      const int64_t step = source.transposed ? source.count : 1;
      for (int64_t k = 0; k < in_; ++k) to[k * kPanelColumns] = from[k * step];
    }
  }
}

void PackedMatrix::CopyRow(int64_t row, float* to) const {
  const float* from = Panel(row / kPanelColumns) + row % kPanelColumns;
  for (int64_t k = 0; k < in_; ++k) to[k] = from[k * kPanelColumns];
}

}  // namespace floe::inference
