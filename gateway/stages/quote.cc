#include "gateway/stages/quote.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/openai/tools.h"
#include "gateway/stages/admit.h"

namespace floe::gateway {

namespace {

// How the model calls what it is offered; a call that is required is the form of the answer.
void RequireCall(ToolFormat format, Request& request) {
  Ask& ask = request.ask;
  if (!ask.tools.offered()) return;
  request.tool_format = format;
  if (ask.tools.choice != ToolAsk::Choice::kRequired) return;
  const std::string_view key = format == ToolFormat::kBare ? "parameters" : "arguments";
  ask.response_format = {ResponseFormat::Kind::kJsonSchema,
                         openai::CallSchema(ask.tools.tools, key), "tools"};
}

std::string OperationOf(const Ask& ask) {
  if (ask.embedding) return "embedding";
  return ask.is_chat() ? "chat" : "completion";
}

absl::Status CheckInput(const EncodedPrompt& input, int64_t context) {
  const auto tokens = static_cast<int64_t>(input.ids.size());
  if (tokens >= 1 && tokens <= context) return absl::OkStatus();
  return WithReason(
      absl::InvalidArgumentError(
          tokens == 0 ? "the text has no tokens; write at least one character"
                      : absl::StrCat("This model's maximum context length is ", context,
                                     " tokens, and the text has ", tokens, "; shorten it.")),
      tokens == 0 ? "INVALID_VALUE" : "CONTEXT_LENGTH_EXCEEDED", {{"param", "input"}});
}

absl::Status TooManyInputs() {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat("input has more than ", kMaxInputTokens,
                                              " tokens in all; send it in several requests")),
      "REQUEST_TOO_LARGE", {{"param", "input"}});
}

std::string_view LessPrompt(const Ask& ask) {
  return ask.prompts.size() > 1 ? "Send fewer prompts at once" : "Shorten the prompt";
}

std::string_view WhatMakesItLong(const Ask& ask) {
  return ask.best_of == 1 ? "max_tokens" : "max_tokens, n or best_of";
}

// How long the answer to one prompt may be.
absl::Status PlanAnswer(const EncodedPrompt& prompt, Request& request) {
  FLOE_ASSIGN_OR_RETURN(const int64_t budget,
                        TokenBudget(request.ask.is_chat(), request.ask.max_tokens,
                                    static_cast<int64_t>(prompt.ids.size()), request.model.context,
                                    request.rules->max_output_tokens));
  request.max_tokens = std::max(request.max_tokens, budget);
  RequireCall(prompt.tool_format, request);
  return absl::OkStatus();
}

// What a request may cost is known before anything runs: one that could cost more than its client
// wants is not begun, instead of being cut off where the money ends.
absl::Status CheckMaxCost(const Request& request) {
  if (request.ask.max_cost.empty()) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(const Picos most, request.prices->Amount(request.ask.max_cost));
  if (request.worst_case.picos <= most) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "the request may cost $", request.worst_case.dollars, " and max_cost is $",
                        request.ask.max_cost, ". ", AbslView(LessPrompt(request.ask)), ", lower ",
                        AbslView(WhatMakesItLong(request.ask)),
                        ", ask for a cheaper service_tier, or raise max_cost.")),
                    "MAX_COST_EXCEEDED", {{"param", "max_cost"}});
}

}  // namespace

absl::StatusOr<int64_t> TokenBudget(bool chat, std::optional<int64_t> asked, int64_t prompt_tokens,
                                    int64_t context, int64_t most) {
  const std::string param = chat ? "messages" : "prompt";
  if (prompt_tokens == 0) {
    return WithReason(
        absl::InvalidArgumentError(
            "the prompt has no tokens; write at least one character, or <|endoftext|> as an id"),
        "INVALID_VALUE", {{"param", param}});
  }
  const int64_t left = context - prompt_tokens;
  int64_t unasked =
      chat ? std::max<int64_t>(left, 1) : std::clamp<int64_t>(left, 1, kDefaultCompletionTokens);
  if (most > 0) unasked = std::min(unasked, most);
  const int64_t wanted = asked.value_or(unasked);
  if (wanted <= left) return wanted;
  // `wanted` may be anything up to 2^63: no sum of it is made.
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          "This model's maximum context length is ", context,
          " tokens, and the request needs more: ", prompt_tokens, " in the ", param, " and ",
          wanted, " for the answer. Shorten the ", param, asked ? " or lower max_tokens." : ".")),
      "CONTEXT_LENGTH_EXCEEDED", {{"param", param}});
}

Awaitable<absl::Status> QuoteStage::CountPrompts(Request& request) {
  const auto executor = co_await boost::asio::this_coro::executor;
  request.prompt_ids.clear();
  request.prompt_ends.clear();
  request.max_tokens = 0;
  for (size_t i = 0; i < request.ask.prompts.size(); ++i) {
    // Many short texts are as much work as a long one: others have their turn in between.
    if (i > 0) co_await boost::asio::post(executor, boost::asio::use_awaitable);
    const absl::StatusOr<EncodedPrompt> encoded = co_await parts_.prompts.Encode(
        request.scope, request.model, request.ask.prompts[i], request.ask.tools);
    if (!encoded.ok()) co_return AboutPrompt(encoded.status(), request.ask, i);
    const std::vector<uint32_t>& ids = encoded->ids;
    const absl::Status fits = request.ask.embedding ? CheckInput(*encoded, request.model.context)
                                                    : PlanAnswer(*encoded, request);
    if (!fits.ok()) co_return AboutPrompt(fits, request.ask, i);
    request.prompt_ids.insert(request.prompt_ids.end(), ids.begin(), ids.end());
    request.prompt_ends.push_back(request.prompt_ids.size());
    if (request.ask.embedding && request.prompt_ids.size() > kMaxInputTokens) {
      co_return TooManyInputs();
    }
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> QuoteStage::Enter(Request& request) {
  const absl::Status counted = co_await CountPrompts(request);
  if (!counted.ok()) co_return counted;
  if (!request.ask.embedding && !request.ask.sampling.seed) {
    request.ask.sampling.seed = parts_.draw_seed();
    request.seed_drawn = true;
  }
  const absl::Status priced = Price(request);
  if (!priced.ok()) co_return priced;
  co_return co_await ChargeTokens(request);
}

Awaitable<absl::Status> QuoteStage::ChargeTokens(Request& request) {
  const int64_t limit = request.rules->limits.tokens_per_minute;
  if (limit == 0) co_return absl::OkStatus();
  const int64_t answers = request.max_tokens * request.ask.answers_made();
  const int64_t tokens = static_cast<int64_t>(request.prompt_ids.size()) + answers;
  if (tokens > limit) {
    co_return WithReason(
        absl::InvalidArgumentError(absl::StrCat(
            "the request may need ", tokens, " tokens (", request.prompt_ids.size(),
            " in the prompt, up to ", answers, " for the answer), and this key may use ", limit,
            " a minute. ", AbslView(LessPrompt(request.ask)), " or lower ",
            AbslView(WhatMakesItLong(request.ask)), ".")),
        "REQUEST_TOO_LARGE", {{"param", "max_tokens"}});
  }
  const absl::StatusOr<limits::Charge> charge =
      co_await parts_.limits.ChargeTokens(request.scope.caller.key_id, limit, tokens);
  if (!charge.ok()) {
    co_return request.rules->allow_without_redis ? absl::OkStatus() : LimitsUnavailable();
  }
  request.limits.tokens = charge->tokens;
  if (charge->refused) {
    co_return RateLimitExceeded(absl::StrCat(limit, " tokens a minute"), charge->retry_after);
  }
  request.limits.charged_tokens = tokens;
  co_return absl::OkStatus();
}

std::string ModelOf(std::string_view version) {
  return std::string(version.substr(0, version.find("/versions/")));
}

absl::Status QuoteStage::Price(Request& request) const {
  // The book by the time of arrival: a price change does not reach into a request.
  FLOE_ASSIGN_OR_RETURN(request.prices, parts_.prices.Resolve(request.arrived));
  request.priced = {OperationOf(request.ask), ModelOf(request.model.version), request.ask.tier,
                    request.retrieved.has_value()};
  if (request.prices == nullptr) return absl::OkStatus();
  absl::StatusOr<Cost> worst =
      request.prices->WorstCase(request.priced, static_cast<int64_t>(request.prompt_ids.size()),
                                request.max_tokens * request.ask.answers_made());
  if (!worst.ok()) return worst.status();
  request.worst_case = *std::move(worst);
  return CheckMaxCost(request);
}

}  // namespace floe::gateway
