#include "gateway/stages/cache.h"

#include <algorithm>
#include <utility>

#include "gateway/cache/cache_key.h"

namespace floe::gateway {
namespace {

constexpr size_t kPieceBytes = 4096;

// A stored answer, as if a worker gave it.
class ReplayStream final : public TokenStream {
 public:
  ReplayStream(const cache::CachedAnswer& answer, int64_t prompt_tokens)
      : text_(answer.text),
        finish_{.reason = answer.reason,
                .prompt_tokens = prompt_tokens,
                .completion_tokens = answer.completion_tokens} {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    size_t end = std::min(text_.size(), at_ + kPieceBytes);
    // A character's bytes stay together.
    while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xC0) == 0x80) ++end;
    Piece piece;
    piece.text = text_.substr(at_, end - at_);
    at_ = end;
    if (at_ == text_.size()) piece.finish = finish_;
    co_return piece;
  }

 private:
  const std::string text_;
  const Finish finish_;
  size_t at_ = 0;
};

cache::Key KeyOf(const Request& request) {
  Sampling sampling = request.ask.sampling;
  if (request.seed_drawn) sampling.seed.reset();
  return cache::KeyOf({.team = request.scope.caller.team,
                       .policy_digest = request.policy->digest(),
                       .checkpoint_digest = request.model.digest,
                       .tokenizer_digest = request.model.tokenizer_digest,
                       .prompt_ids = request.prompt_ids,
                       .prompt_ends = request.prompt_ends,
                       .sampling = sampling,
                       .max_tokens = request.max_tokens,
                       .stop = request.ask.stop,
                       .response_format = request.ask.response_format});
}

}  // namespace

Awaitable<absl::Status> CacheStage::Enter(Request& request) {
  const policy::TeamPolicy& rules = *request.rules;
  const bool determined = !request.seed_drawn || request.ask.sampling.temperature == 0;
  // What is kept is one answer to each prompt, without log-probabilities.
  const bool kept = !request.ask.logprobs && request.ask.best_of == 1;
  if (!rules.cache || !request.ask.use_cache || !kept || !(determined || rules.cache_sampled)) {
    co_return absl::OkStatus();
  }
  request.cache = CacheUse::kMiss;
  request.cache_key = KeyOf(request);
  absl::StatusOr<std::optional<cache::CachedAnswers>> found =
      co_await cache_.Find(*request.cache_key);
  const size_t prompts = request.prompt_ends.size();
  if (!found.ok() || !found->has_value() || (*found)->size() != prompts) {
    co_return absl::OkStatus();
  }
  request.cache = CacheUse::kHit;
  request.cached = **std::move(found);
  for (size_t i = 0; i < prompts; ++i) {
    auto stream = std::make_unique<ReplayStream>((*request.cached)[i],
                                                 static_cast<int64_t>(IdsOf(request, i).size()));
    if (prompts == 1) {
      request.stream = std::move(stream);
    } else {
      request.streams.push_back(std::move(stream));
    }
  }
  co_return absl::OkStatus();
}

void CacheStage::Leave(Request& request) noexcept {
  // `finish` is set once the client has everything: what was refused or cut off has none, and what
  // a rule blocked or masked is not `whole`.
  if (request.cache != CacheUse::kMiss || !request.finish) return;
  if (request.whole.size() != request.prompt_ends.size()) return;
  cache::CachedAnswers answers;
  for (auto& [index, answer] : request.whole) answers.push_back(std::move(answer));
  cache_.Store(*request.cache_key, answers, request.rules->cache_ttl);
}

}  // namespace floe::gateway
