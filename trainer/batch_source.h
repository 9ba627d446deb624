// Training windows in random order, the same order for the same seed, from any point on.
//
// An epoch starts at a random phase, cuts the tokens into windows of T inputs and T targets (the
// same shifted by one), and visits each once. Windows run across documents, which `<|endoftext|>`
// separates.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "trainer/rng.h"
#include "trainer/token_file.h"

namespace floe::trainer {

// Where the source stands; all that is needed to go on.
struct DataCursor {
  int64_t epoch = 0;
  int64_t position = 0;  // windows taken in this epoch
  Rng::State rng = {};   // before this epoch's order was drawn
  bool operator==(const DataCursor&) const = default;
};

// Borrows the token file. Not thread-safe.
class BatchSource {
 public:
  // INVALID_ARGUMENT when there are not sequence_length + 1 tokens.
  static absl::StatusOr<BatchSource> Create(const TokenFile& tokens, int64_t sequence_length,
                                            uint64_t seed);

  // Appends `sequences` windows to inputs and targets, T ids each.
  void Next(int64_t sequences, std::vector<int64_t>& inputs, std::vector<int64_t>& targets);

  const DataCursor& cursor() const { return cursor_; }
  // DATA_LOSS when the cursor does not belong to these tokens.
  absl::Status Seek(const DataCursor& cursor);

 private:
  BatchSource(const TokenFile& tokens, int64_t sequence_length, uint64_t seed)
      : tokens_(&tokens), sequence_length_(sequence_length), rng_(seed) {}
  void StartEpoch();

  const TokenFile* tokens_;
  int64_t sequence_length_;
  Rng rng_;
  DataCursor cursor_;
  int64_t phase_ = 0;
  std::vector<uint32_t> order_;
};

}  // namespace floe::trainer
