#include "gateway/stages/quote.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::gateway {

absl::StatusOr<int64_t> TokenBudget(bool chat, std::optional<int64_t> asked, int64_t prompt_tokens,
                                    int64_t context) {
  const std::string param = chat ? "messages" : "prompt";
  if (prompt_tokens == 0) {
    return WithReason(
        absl::InvalidArgumentError(
            "the prompt has no tokens; write at least one character, or <|endoftext|> as an id"),
        "INVALID_VALUE", {{"param", param}});
  }
  const int64_t left = context - prompt_tokens;
  const int64_t wanted = asked.value_or(
      chat ? std::max<int64_t>(left, 1) : std::clamp<int64_t>(left, 1, kDefaultCompletionTokens));
  if (wanted <= left) return wanted;
  // `wanted` may be anything up to 2^63: no sum of it is made.
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          "This model's maximum context length is ", context,
          " tokens, and the request needs more: ", prompt_tokens, " in the ", param, " and ",
          wanted, " for the answer. Shorten the ", param, asked ? " or lower max_tokens." : ".")),
      "CONTEXT_LENGTH_EXCEEDED", {{"param", param}});
}

Awaitable<absl::Status> QuoteStage::Enter(Request& request) {
  absl::StatusOr<std::vector<uint32_t>> ids =
      co_await prompts_.Encode(request.scope, request.model, request.ask.prompt);
  if (!ids.ok()) co_return ids.status();
  const absl::StatusOr<int64_t> budget =
      TokenBudget(request.ask.is_chat(), request.ask.max_tokens, static_cast<int64_t>(ids->size()),
                  request.model.context);
  if (!budget.ok()) co_return budget.status();
  request.prompt_ids = *std::move(ids);
  request.max_tokens = *budget;
  if (!request.ask.sampling.seed) request.ask.sampling.seed = draw_seed_();
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
