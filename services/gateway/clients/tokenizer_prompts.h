// Prompts rendered and counted by the model's own tokenizer, in this process.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "gateway/ports.h"
#include "services/gateway/clients/tokenizers.h"

namespace floe::gateway {

// Thread-safe. Borrows both. A tokenizer that is not here yet, and prompts longer than a few
// kilobytes, are work for the pool; the rest is done at once.
class TokenizerPrompts final : public PromptEncoder {
 public:
  TokenizerPrompts(Tokenizers& tokenizers, boost::asio::thread_pool& pool)
      : tokenizers_(tokenizers), pool_(pool) {}

  Awaitable<absl::StatusOr<std::vector<uint32_t>>> Encode(const CallScope& scope,
                                                          const ResolvedModel& model,
                                                          const Prompt& prompt) override;
  Awaitable<absl::StatusOr<std::string>> Decode(const CallScope& scope, const ResolvedModel& model,
                                                const std::vector<uint32_t>& ids) override;

 private:
  Tokenizers& tokenizers_;
  boost::asio::thread_pool& pool_;
};

// Chats by the model's template, with the opening of an assistant's message; a text as it is; ids
// are checked against the vocabulary. Pure, but that a template may write today's date.
absl::StatusOr<std::vector<uint32_t>> EncodePrompt(const ModelText& text, const Prompt& prompt);

}  // namespace floe::gateway
