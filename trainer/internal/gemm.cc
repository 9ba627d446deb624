#include "trainer/internal/gemm.h"

extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta, float* c, const int* ldc);

namespace floe::trainer {

void Gemm(int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, float* c,
          int64_t c_stride) {
  // BLAS is column-major: C^T = op(B)^T op(A)^T.
  const char of_a = a.transposed ? 'T' : 'N', of_b = b.transposed ? 'T' : 'N';
  const int rows = static_cast<int>(n), columns = static_cast<int>(m), depth = static_cast<int>(k);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride);
  const int ldc = static_cast<int>(c_stride);
  sgemm_(&of_b, &of_a, &rows, &columns, &depth, &alpha, b.data, &lda, a.data, &ldb, &beta, c, &ldc);
}

}  // namespace floe::trainer
