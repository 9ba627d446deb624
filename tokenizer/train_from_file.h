// The use case behind a `tokenizer.train` job: a corpus file in, a checked tokenizer out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trainer.h"

namespace floe::tokenizer {

struct TrainFileProgress {
  enum class Phase { kCounting, kMerging, kChecking };
  Phase phase = Phase::kCounting;
  int64_t done = 0;   // bytes of the file, or merges
  int64_t total = 0;  // the same unit
};

struct TrainFileOptions {
  std::filesystem::path corpus;
  TextFormat format = TextFormat::kText;
  TrainOptions train;  // its on_progress and stop are not looked at; those below are
  int threads = 1;
  std::function<void(const TrainFileProgress&)> on_progress;  // from the calling thread
  std::stop_token stop;
};

struct TrainedTokenizer {
  std::unique_ptr<const Tokenizer> tokenizer;
  // Of the training text, document by document.
  int64_t documents = 0;
  int64_t bytes = 0;
  int64_t tokens = 0;

  double bytes_per_token() const {
    return tokens == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(tokens);
  }
};

// Trains, then encodes and decodes every document to see that each comes back unchanged. The result
// is a function of the documents and TrainOptions alone. The file may be larger than the memory: it
// is gone through from front to back, twice. Errors: those of reading the file (NOT_FOUND ...), of
// ForEachDocument (with the path), of Trainer; CANCELLED soon after a stop is requested; INTERNAL
// when a document does not come back.
absl::StatusOr<TrainedTokenizer> TrainTokenizerFromFile(const TrainFileOptions& options);

}  // namespace floe::tokenizer
