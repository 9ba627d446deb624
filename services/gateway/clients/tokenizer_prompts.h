// Prompts rendered and counted by the model's own tokenizer, in this process.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "base/clock.h"
#include "gateway/ports.h"
#include "services/gateway/clients/tokenizers.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. A tokenizer that is not here yet, and prompts longer than a few
// kilobytes, are work for the pool; the rest is done at once.
class TokenizerPrompts final : public PromptEncoder {
 public:
  TokenizerPrompts(Tokenizers& tokenizers, boost::asio::thread_pool& pool, const Clock& clock)
      : tokenizers_(tokenizers), pool_(pool), clock_(clock) {}

  Awaitable<absl::StatusOr<EncodedPrompt>> Encode(const CallScope& scope,
                                                  const ResolvedModel& model, const Prompt& prompt,
                                                  const ToolAsk& tools) override;
  Awaitable<absl::StatusOr<std::string>> Decode(const CallScope& scope, const ResolvedModel& model,
                                                const std::vector<uint32_t>& ids) override;

 private:
  Tokenizers& tokenizers_;
  boost::asio::thread_pool& pool_;
  const Clock& clock_;
};

// Chats as EncodeChat makes them (prompt/chat_prompt.h); a text as it is; ids are checked against
// the vocabulary. `now` is for templates that write the date. Pure.
absl::StatusOr<EncodedPrompt> EncodePrompt(const ModelText& text, const Prompt& prompt,
                                           const ToolAsk& tools, absl::Time now);

}  // namespace floe::gateway
