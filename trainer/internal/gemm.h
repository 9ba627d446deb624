// The matrix product of BLAS on parts of row-major arrays, for the operations that work by blocks.
#pragma once

#include <cstdint>

namespace floe::trainer {

struct Matrix {
  const float* data;
  int64_t stride;  // floats from one stored row to the next
  bool transposed = false;
};

// C[m, n] = alpha * op(A)[m, k] op(B)[k, n] + beta * C. Thread-safe. OpenBLAS uses OpenMP's
// threads, and inside a parallel region only the calling one. Sizes and strides are below 2^31.
void Gemm(int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, float* c,
          int64_t c_stride);

}  // namespace floe::trainer
