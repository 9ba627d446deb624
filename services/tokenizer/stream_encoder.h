// The text of one StreamEncode call, from its parts to ids.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

#include "floe/tokenizer/v1/tokenizer.pb.h"
#include "tokenizer/text_cutter.h"
#include "tokenizer/tokenizer.h"

namespace floe::services::tokenizer {

inline constexpr size_t kMaxPartBytes = 2 << 20;      // of one message
inline constexpr size_t kMaxWaitingBytes = 32 << 20;  // of text in which nothing ends
inline constexpr int kMaxIdsAnAnswer = 1 << 16;

// Not thread-safe. Borrows the tokenizer. Holds what waits for a certain cut.
class StreamEncoder {
 public:
  // Where answers go; an error of it ends the call.
  using Send = absl::FunctionRef<absl::Status(const floe::tokenizer::v1::StreamEncodeResponse&)>;
  struct Options {
    bool offsets = false;
    int threads = 1;
  };
  StreamEncoder(const floe::tokenizer::Tokenizer& tokenizer, Options options)
      : tokenizer_(tokenizer), options_(options) {}

  // The next bytes. INVALID_ARGUMENT for too many at once, and where too many wait.
  absl::Status Push(const std::string& text, Send send);
  // The end of the text.
  absl::Status Finish(Send send) { return Encode(cutter_.Flush(), send); }

 private:
  absl::Status Encode(const std::string& ready, Send send);

  const floe::tokenizer::Tokenizer& tokenizer_;
  const Options options_;
  floe::tokenizer::TextCutter cutter_;
  size_t waiting_ = 0;
  uint64_t end_ = 0;  // of the last token sent
};

}  // namespace floe::services::tokenizer
