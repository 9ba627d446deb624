#include "gateway/stages/generate.h"

#include <optional>
#include <utility>

#include "base/error_reason.h"
#include "gateway/choices.h"

namespace floe::gateway {
namespace {

// Counts what arrives, before any later stage holds something back. Belongs to the request.
class MeteredStream final : public TokenStream {
 public:
  MeteredStream(std::unique_ptr<TokenStream> inner, Request& request, size_t index,
                const Clock& clock)
      : inner_(std::move(inner)), request_(request), index_(index), clock_(clock) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    Meter& meter = request_.meter;
    if (!piece.ok()) {
      meter.failure = piece.status();
      co_return piece;
    }
    const size_t prompt = PromptIndex(request_, index_);
    const auto ids = static_cast<int64_t>(piece->ids.size());
    meter.arrived += ids;
    std::optional<int64_t>& cached = meter.cached_prompts[prompt];
    const bool tells = !piece->prompt_logprobs.empty();
    if ((ids > 0 || tells) && !cached) cached = piece->cached_prompt;
    if (tells) request_.echo_logprobs[prompt] = std::exchange(piece->prompt_logprobs, {});
    if (ids > 0 && meter.first_token == absl::ZeroDuration()) {
      meter.first_token = clock_.Now() - request_.arrived;
    }
    request_.likelihoods[index_].Add(*piece);
    if (!request_.ask.logprobs) piece->logprobs.clear();  // they were for the ranking
    if (piece->finish) meter.NoteReceipt(piece->finish->receipt);
    co_return piece;
  }

 private:
  const std::unique_ptr<TokenStream> inner_;
  Request& request_;
  const size_t index_;  // of this answer
  const Clock& clock_;
};

// A client's own salt divides what its team shares, and opens nothing of another team's: no team
// has a slash in its name.
std::string CacheSaltOf(const Request& request) {
  const std::string& team = request.scope.caller.team;
  return request.ask.cache_salt.empty() ? team : team + "/" + request.ask.cache_salt;
}

// A worker knows what is wrong with a form, but not which field of the request said it.
absl::Status NamingTheField(absl::Status status, const ResponseFormat& format) {
  std::optional<ErrorReason> reason = ReasonOf(status);
  if (!reason || reason->reason != "INVALID_CONSTRAINT") return status;
  reason->metadata["param"] = format.param;
  return WithReason(std::move(status), *std::move(reason));
}

}  // namespace

Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> GenerateStage::Start(Request& request,
                                                                             size_t index) {
  const Ask& ask = request.ask;
  Sampling sampling = ask.sampling;
  // As if each prompt were alone.
  const auto of_prompt = static_cast<int32_t>(index % static_cast<size_t>(ask.best_of));
  sampling.seed = SeedOf(sampling.seed.value_or(0), of_prompt);
  std::optional<LogProbsAsk> logprobs = ask.logprobs;
  if (ask.best_of > ask.choices && !logprobs) logprobs = LogProbsAsk{};  // to rank by
  const GenerateCall call{.model = request.model,
                          .prompt_ids = IdsOf(request, PromptIndex(request, index)),
                          .sampling = sampling,
                          .max_tokens = request.max_tokens,
                          .stop = ask.stop,
                          .response_format = ask.response_format,
                          .logprobs = logprobs,
                          // Once: the other answers to this prompt begin with the same.
                          .prompt_logprobs = ask.tells_prompt() && of_prompt == 0,
                          .tier = ask.tier,
                          .cache_salt = CacheSaltOf(request),
                          .usage_id = request.usage_id,
                          .meter = &request.meter};
  absl::StatusOr<std::unique_ptr<TokenStream>> stream =
      co_await generator_.Start(request.scope, call);
  if (!stream.ok()) {
    request.meter.failure = stream.status();
    co_return NamingTheField(stream.status(), ask.response_format);
  }
  co_return std::make_unique<MeteredStream>(*std::move(stream), request, index, clock_);
}

Awaitable<absl::Status> GenerateStage::Enter(Request& request) {
  if (request.stream != nullptr || !request.streams.empty()) co_return absl::OkStatus();
  const auto count = static_cast<size_t>(request.ask.answers_made());
  request.likelihoods.resize(count);
  request.meter.cached_prompts.resize(request.ask.prompts.size());
  request.echo_logprobs.resize(request.ask.prompts.size());
  // One after the other: once the first has begun, its worker has the prompt's keys and values, and
  // the others need not compute them again. Nor does one request fill the queue of a worker.
  for (size_t index = 0; index < count; ++index) {
    absl::StatusOr<std::unique_ptr<TokenStream>> stream = co_await Start(request, index);
    if (!stream.ok()) co_return stream.status();
    if (count == 1) {
      request.stream = *std::move(stream);
    } else {
      request.streams.push_back(*std::move(stream));
    }
  }
  co_return absl::OkStatus();
}

void GenerateStage::Leave(Request& request) noexcept {
  request.stream.reset();
  request.streams.clear();
}

}  // namespace floe::gateway
