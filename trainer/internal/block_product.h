// The product of small blocks that lie in the cache, for attention: BLAS copies both operands into
// an order of its own before each product, which at these sizes costs as much as the product.
//
// Pure and thread-safe. Sums run over k in order, so results depend on the instruction set alone.
#pragma once

#include <cstdint>

namespace floe::trainer {

// An operand read one number at a time: element (i, j) is data[i * row + j * column].
struct StridedBlock {
  const float* data = nullptr;
  int64_t row = 0;
  int64_t column = 1;
};

// C[m, n] = A[m, k] B[k, n], or C += with `add`. B and C are row-major, their rows `b_stride` and
// `c_stride` floats apart. Fastest where m is a multiple of 6 and n of two vectors.
void BlockProduct(int64_t m, int64_t n, int64_t k, StridedBlock a, const float* b, int64_t b_stride,
                  bool add, float* c, int64_t c_stride);

// [rows, columns] -> [columns, rows], whose rows are `to_stride` floats apart.
void TurnBlock(int64_t rows, int64_t columns, const float* from, float* to, int64_t to_stride);

}  // namespace floe::trainer
