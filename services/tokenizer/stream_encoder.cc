#include "services/tokenizer/stream_encoder.h"

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::services::tokenizer {

using floe::tokenizer::TokenId;

absl::Status StreamEncoder::Push(const std::string& text, Send send) {
  if (text.size() > kMaxPartBytes) {
    return absl::InvalidArgumentError(absl::StrCat("text has ", text.size(),
                                                   " bytes; send at most ", kMaxPartBytes,
                                                   " a message, cut anywhere"));
  }
  const std::string ready = cutter_.Push(text);
  waiting_ += text.size() - ready.size();
  if (waiting_ > kMaxWaitingBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text has more than ", kMaxWaitingBytes >> 20,
                     " MiB without a word or number that ends; is it one?"));
  }
  return Encode(ready, send);
}

absl::Status StreamEncoder::Encode(const std::string& ready, Send send) {
  const std::string_view text = ready;
  floe::tokenizer::v1::StreamEncodeResponse answer;
  const auto encoded = tokenizer_.EncodeBatch({&text, 1}, options_.threads);
  for (const TokenId id : encoded.front()) {
    answer.add_ids(static_cast<uint32_t>(id));
    if (options_.offsets) answer.add_ends(end_ += tokenizer_.TokenBytes(id)->size());
    if (answer.ids_size() < kMaxIdsAnAnswer) continue;
    FLOE_RETURN_IF_ERROR(send(answer));
    answer.Clear();
  }
  return answer.ids_size() > 0 ? send(answer) : absl::OkStatus();
}

}  // namespace floe::services::tokenizer
