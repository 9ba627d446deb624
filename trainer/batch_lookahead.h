// The next step's sequences, read by another thread while this one trains: a cold page of the token
// file, or the order of a new epoch, is waited for by nobody.
#pragma once

#include <cstdint>
#include <future>
#include <vector>

#include "absl/status/status.h"

#include "trainer/batch_source.h"

namespace floe::trainer {

// The same sequences in the same order as the source's, whatever the timing. Driven by one thread.
class BatchLookahead {
 public:
  struct Batch {
    std::vector<int64_t> inputs;
    std::vector<int64_t> targets;
  };

  // `sequences` at a time.
  BatchLookahead(BatchSource source, int64_t sequences)
      : source_(std::move(source)), sequences_(sequences), cursor_(source_.cursor()) {}

  Batch Take();

  // Behind what was taken; what was read ahead does not count.
  const DataCursor& cursor() const { return cursor_; }
  // As BatchSource's.
  absl::Status Seek(const DataCursor& cursor);

 private:
  std::future<Batch> ReadAhead();

  BatchSource source_;  // the reading thread's while next_ is valid
  const int64_t sequences_;
  DataCursor cursor_;
  std::future<Batch> next_;  // its end waits for the thread
};

}  // namespace floe::trainer
