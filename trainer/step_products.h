// The matrix products of a training step, by which its speed is judged. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/blueprint.h"

namespace floe::trainer {

// [rows, inner] times [inner, columns], each stored row by row, or turned: column by column.
struct MatrixProduct {
  int64_t rows = 0, inner = 0, columns = 0;
  bool left_turned = false, right_turned = false;

  double Flops() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) *
           static_cast<double>(columns);
  }
};

// What `layers` layers and the head multiply for so many tokens, forward and twice backward, but
// for attention's small products.
std::vector<MatrixProduct> StepProducts(const model::Blueprint& blueprint, int64_t layers,
                                        int64_t tokens);

// One layer's and the head's, of a step's tokens or as many of them as are measured in a moment.
std::vector<MatrixProduct> SampleProducts(const model::Blueprint& blueprint, int64_t tokens);

double FlopsOf(std::span<const MatrixProduct> products);

}  // namespace floe::trainer
