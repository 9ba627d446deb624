// Trains a byte-level BPE vocabulary: starting from the 256 bytes, the most frequent pair of
// neighbouring tokens becomes a token, again and again.
//
// The result depends on the text alone, not on the order of documents or threads: the highest count
// wins, among equals the smaller pair of ids (as Hugging Face's trainer decides). Counts have 64
// bits. Memory grows with the number of *different* pieces, not with the length of the text, and is
// bounded: a text with too many of them is refused, never learned in part.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

struct TrainProgress {
  int merges_done = 0;
  int merges_total = 0;
};

struct TrainOptions {
  // Bytes, merges and special tokens together; exactly reached.
  int vocab_size = 4096;
  Pattern pattern = Pattern::kQwen2;
  // They take the last ids, in this order.
  std::vector<std::string> special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  // Pairs seen less often do not become tokens.
  int64_t min_frequency = 1;
  // Of memory, by EstimatedMemory().
  int64_t max_memory_bytes = int64_t{8} << 30;
  // Called now and then from Train's own thread.
  std::function<void(const TrainProgress&)> on_progress;
  // Train stops with CANCELLED soon after a stop is requested.
  std::stop_token stop;
};

// Not thread-safe. Feed text with Add, then Train once.
class Trainer {
 public:
  // INVALID_ARGUMENT for a vocab_size that does not hold the bytes and the special tokens, and for
  // special tokens that are empty, repeated or not UTF-8.
  static absl::StatusOr<Trainer> Create(TrainOptions options);

  // One document: pieces never cross from one to the next. Any bytes are accepted.
  void Add(std::string_view document) { AddCounted(document, 1); }
  // The same document `times` times over; times >= 0.
  void AddCounted(std::string_view document, int64_t times);
  // Documents counted over up to `threads` threads. RESOURCE_EXHAUSTED once all that was added
  // needs more than max_memory_bytes.
  absl::Status AddAll(std::span<const std::string_view> documents, int threads);

  // RESOURCE_EXHAUSTED as AddAll; FAILED_PRECONDITION when nothing was added or the text runs out
  // of pairs before vocab_size is reached (the message says how far it goes); CANCELLED.
  absl::StatusOr<Vocabulary> Train() const;

  // Bytes of text added so far, and how many different pieces they have.
  int64_t bytes() const { return bytes_; }
  size_t distinct_pieces() const { return counts_.size(); }
  // What Train will need for the different pieces, in bytes: their text, count and place in a hash
  // table, then their symbols and the words of every pair.
  int64_t EstimatedMemory() const;

 private:
  absl::Status CheckMemory() const;
  using PieceCounts = absl::flat_hash_map<std::string, int64_t>;

  explicit Trainer(TrainOptions options) : options_(std::move(options)) {}
  // Returns the bytes of the pieces that are new to `counts`.
  static int64_t CountPieces(Pattern pattern, std::string_view document, int64_t times,
                             PieceCounts& counts);

  TrainOptions options_;
  PieceCounts counts_;
  int64_t distinct_bytes_ = 0;  // of the pieces in counts_
  int64_t bytes_ = 0;
};

}  // namespace floe::tokenizer
