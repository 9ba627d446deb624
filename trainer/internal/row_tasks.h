// Rows of a batch spread over LibTorch's threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

inline constexpr int64_t kRowGrain = 64;  // rows a task: enough work to be worth a thread
// Rows whose contribution to a parameter's gradient is summed in order, so that the sum does not
// depend on the number of threads.
inline constexpr int64_t kGradRows = 128;

template <class Body>
void ForRows(int64_t rows, const Body& body) {
  at::parallel_for(0, rows, kRowGrain, body);
}

// body(begin, end, chunk) for runs of kGradRows rows, over the threads.
template <class Body>
void ForChunks(int64_t rows, const Body& body) {
  const int64_t chunks = (rows + kGradRows - 1) / kGradRows;
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      body(chunk * kGradRows, std::min(rows, (chunk + 1) * kGradRows), chunk);
    }
  });
}

// Zeros [chunks, width]: one row for what each chunk of ForChunks adds up.
inline at::Tensor ChunkSums(int64_t rows, int64_t width) {
  return at::zeros({(rows + kGradRows - 1) / kGradRows, width});
}

}  // namespace floe::trainer
