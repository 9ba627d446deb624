// quote: the prompts rendered and counted by the model's own tokenizer, the most that the answer
// can take, what both cost at most, and both charged to the key's tokens a minute.
#pragma once

#include <functional>

#include "gateway/limits/rate_limits.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Completions without max_tokens get this many, as OpenAI's do; chats get what the context leaves.
inline constexpr int64_t kDefaultCompletionTokens = 16;

// The most tokens of all texts that one request may have embedded, as OpenAI's API.
inline constexpr size_t kMaxInputTokens = 300'000;

// Thread-safe. Borrows its parts. What is charged too much goes back when the admit stage leaves.
class QuoteStage final : public Stage {
 public:
  struct Parts {
    PromptEncoder& prompts;
    const Prices& prices;
    limits::RateLimits& limits;
    std::function<uint64_t()> draw_seed;
  };
  explicit QuoteStage(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "quote"; }
  // INVALID_ARGUMENT (CONTEXT_LENGTH_EXCEEDED) when a prompt and its answer do not fit the context,
  // or (REQUEST_TOO_LARGE) can never fit the tokens a minute; RESOURCE_EXHAUSTED
  // (RATE_LIMIT_EXCEEDED) when they do not fit now; UNAVAILABLE (LIMITS_UNAVAILABLE) as the admit
  // stage; INVALID_ARGUMENT (MAX_COST_EXCEEDED) for what may cost more than its client allows;
  // FAILED_PRECONDITION (NO_PRICE) for what the price book in force does not price.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  Awaitable<absl::Status> CountPrompts(Request& request);
  absl::Status Price(Request& request) const;
  Awaitable<absl::Status> ChargeTokens(Request& request);

  const Parts parts_;
};

// How many new tokens a request may have: pure. `asked` is what the client wrote, if it did; `most`
// is the policy's limit (0: none) for those that wrote nothing.
absl::StatusOr<int64_t> TokenBudget(bool chat, std::optional<int64_t> asked, int64_t prompt_tokens,
                                    int64_t context, int64_t most = 0);

// `teams/nlp/models/hamlet` of a version's name.
std::string ModelOf(std::string_view version);

}  // namespace floe::gateway
