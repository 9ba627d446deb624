#include "trainer/batch_lookahead.h"

#include "base/status_macros.h"

namespace floe::trainer {

std::future<BatchLookahead::Batch> BatchLookahead::ReadAhead() {
  return std::async(std::launch::async, [this] {
    Batch batch;
    source_.Next(sequences_, batch.inputs, batch.targets);
    return batch;
  });
}

BatchLookahead::Batch BatchLookahead::Take() {
  if (!next_.valid()) next_ = ReadAhead();
  Batch batch = next_.get();
  cursor_ = source_.cursor();
  next_ = ReadAhead();
  return batch;
}

absl::Status BatchLookahead::Seek(const DataCursor& cursor) {
  if (next_.valid()) next_.get();
  FLOE_RETURN_IF_ERROR(source_.Seek(cursor));
  cursor_ = source_.cursor();
  return absl::OkStatus();
}

}  // namespace floe::trainer
