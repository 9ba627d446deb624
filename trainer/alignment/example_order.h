// Examples in random order, every one once an epoch; the same order for the same seed, from any
// point on.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

#include "trainer/batch_source.h"
#include "trainer/rng.h"

namespace floe::trainer {

// Not thread-safe.
class ExampleOrder {
 public:
  // `size` above 0 and below 2^32.
  ExampleOrder(int64_t size, uint64_t seed);

  // The next example's index.
  size_t Next();

  const DataCursor& cursor() const { return cursor_; }
  // DATA_LOSS when the cursor does not belong to so many examples.
  absl::Status Seek(const DataCursor& cursor);

 private:
  void StartEpoch();

  Rng rng_;
  DataCursor cursor_;
  std::vector<uint32_t> order_;
};

}  // namespace floe::trainer
