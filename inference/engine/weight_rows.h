// Rows of a matrix out of a checkpoint's file, copied piece by piece: what is copied cannot change
// or go away while it is packed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"

#include "inference/engine/packed_matrix.h"
#include "model/checkpoint.h"

namespace floe::inference {

// One tensor of a matrix [out, in]; several lie on top of one another.
struct WeightSource {
  model::TensorView numbers;
  std::optional<model::TensorView> scales;  // with weights in 8 bits
  int64_t out = 0;
  bool transposed = false;  // stored [in, out]
};

// Owns the copies; used by one thread at a time, again and again.
class WeightRows {
 public:
  // Copies the rows [begin, end) of the matrix that `sources` make, or as many as it has. DATA_LOSS
  // when the file was cut short.
  absl::Status Copy(const model::Checkpoint& checkpoint, const std::vector<WeightSource>& sources,
                    int64_t in, int64_t begin, int64_t end);

  // Of the last Copy; they borrow this object.
  const std::vector<PackedMatrix::Rows>& rows() const { return rows_; }

 private:
  std::vector<PackedMatrix::Rows> rows_;
  std::vector<std::vector<char>> numbers_, scales_;  // by source
};

}  // namespace floe::inference
