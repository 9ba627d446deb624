// quote: the prompt rendered and counted by the model's own tokenizer, and the most that the answer
// can take.
#pragma once

#include <functional>

#include "gateway/stage.h"

namespace floe::gateway {

// Completions without max_tokens get this many, as OpenAI's do; chats get what the context leaves.
inline constexpr int64_t kDefaultCompletionTokens = 16;

// Thread-safe. Borrows `prompts`.
class QuoteStage final : public Stage {
 public:
  QuoteStage(PromptEncoder& prompts, std::function<uint64_t()> draw_seed)
      : prompts_(prompts), draw_seed_(std::move(draw_seed)) {}

  std::string_view name() const override { return "quote"; }
  // INVALID_ARGUMENT (CONTEXT_LENGTH_EXCEEDED) when prompt and answer do not fit the context.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  PromptEncoder& prompts_;
  const std::function<uint64_t()> draw_seed_;
};

// How many new tokens a request may have: pure. `asked` is what the client wrote, if it did.
absl::StatusOr<int64_t> TokenBudget(bool chat, std::optional<int64_t> asked, int64_t prompt_tokens,
                                    int64_t context);

}  // namespace floe::gateway
