// The matrix product of training: parts of row-major arrays, turned or not.
//
// Pure but for its scratch memory, which each thread keeps; thread-safe. It uses OpenMP's threads,
// and inside a parallel region only the calling one. An output depends on its row of A and column
// of B alone: blocks of at most 384 steps along k, each one fused chain in ascending order, are
// added up in order. So results depend on the instruction set, and never on the number of threads.
//
// The way of the product is that of Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix
// Multiplication" (ACM TOMS 34, 3): both operands are copied, block by block, into the order in
// which the innermost loop reads them.
#pragma once

#include <cstdint>

namespace floe::trainer {

struct Matrix {
  const float* data;
  int64_t stride;  // floats from one stored row to the next
  bool transposed = false;
};

// What the sums are added to.
struct GemmBase {
  const float* bias = nullptr;    // [n], to every row
  const float* matrix = nullptr;  // [m, n], rows as far apart as those of C; it may be C itself
};

// C[m, n] = op(A)[m, k] op(B)[k, n], and what `base` gives. C is none of the operands. Without
// steps (k = 0) the product is zero.
void Gemm(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const GemmBase& base, float* c,
          int64_t c_stride);

}  // namespace floe::trainer
