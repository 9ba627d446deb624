// What the stages need from outside, answered for by a test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/stages.h"
#include "gateway/unaccounted.h"

namespace floe::gateway {

// Every port at once: fixed answers, and a record of what was asked.
class FakePorts final : public KeyLookup,
                        public Policies,
                        public limits::RateLimits,
                        public Models,
                        public Retriever,
                        public PromptEncoder,
                        public cache::AnswerCache,
                        public Generator,
                        public Embedder {
 public:
  FakePorts() { SetPolicy(""); }

  gateway::Ports Ports(const Clock& clock) {
    return {.keys = *this,
            .policies = *this,
            .limits = *this,
            .models = *this,
            .retriever = *this,
            .prompts = *this,
            .cache = *this,
            .generator = *this,
            .embedder = *this,
            .prices = free,
            .budgets = free,
            .steps = free,
            .usage = free,
            .draw_seed = [] { return uint64_t{42}; },
            .clock = clock};
  }
  // YAML, which must be right.
  void SetPolicy(std::string_view text) { policy = policy::Policy::Parse(text).value(); }

  std::shared_ptr<const policy::Policy> Current() const override { return policy; }
  Awaitable<absl::StatusOr<limits::Admission>> Admit(const std::string&, int64_t,
                                                     int64_t) override {
    ++admits;
    co_return admission;
  }
  Awaitable<absl::StatusOr<limits::Charge>> ChargeTokens(const std::string&, int64_t,
                                                         int64_t tokens) override {
    charged_tokens = tokens;
    co_return charge;
  }
  void Settle(const limits::Settlement& settlement) noexcept override {
    settlements.push_back(settlement);
  }
  Awaitable<absl::StatusOr<std::optional<cache::CachedAnswers>>> Find(
      const cache::Key& key) override {
    ++finds;
    if (!cache_status.ok()) co_return cache_status;
    const auto found = answers.find({key.team, key.digest});
    if (found == answers.end()) co_return std::nullopt;
    co_return found->second;
  }
  void Store(const cache::Key& key, const cache::CachedAnswers& given,
             absl::Duration ttl) noexcept override {
    answers[{key.team, key.digest}] = given;
    stored_ttl = ttl;
  }
  Awaitable<absl::StatusOr<Identity>> Identify(std::string_view secret) override {
    asked_secret = secret;
    co_return identity;
  }
  Awaitable<absl::StatusOr<ResolvedModel>> Resolve(const CallScope& scope,
                                                   const std::string& reference) override {
    asked_team = scope.caller.team;
    co_return model;
  }
  Awaitable<absl::StatusOr<std::vector<ModelSummary>>> List(const CallScope&) override {
    co_return std::vector<ModelSummary>();
  }
  Awaitable<absl::StatusOr<std::vector<Passage>>> Search(const CallScope& scope,
                                                         const std::string& collection,
                                                         const std::string& query,
                                                         int64_t top_k) override {
    searches.push_back({scope.caller.team, collection, query, top_k});
    co_return passages;
  }
  Awaitable<absl::StatusOr<EncodedPrompt>> Encode(const CallScope&, const ResolvedModel&,
                                                  const Prompt& prompt,
                                                  const ToolAsk& tools) override {
    asked_prompt = prompt;
    const absl::StatusOr<std::vector<uint32_t>> encoded = encode ? encode(prompt) : ids;
    if (!encoded.ok()) co_return encoded.status();
    co_return EncodedPrompt{*encoded, tools.offered() ? tool_format : ToolFormat::kNone};
  }
  Awaitable<absl::StatusOr<std::string>> Decode(const CallScope&, const ResolvedModel&,
                                                const std::vector<uint32_t>&) override {
    co_return decoded;
  }
  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope&,
                                                                const GenerateCall& call) override {
    ++starts;
    asked_seeds.push_back(call.sampling.seed.value());
    asked_ids.emplace_back(call.prompt_ids.begin(), call.prompt_ids.end());
    asked_max_tokens = call.max_tokens;
    asked_seed = call.sampling.seed;
    asked_logprobs = call.logprobs;
    asked_prompt_logprobs.push_back(call.prompt_logprobs);
    if (!start.ok()) co_return start;
    const auto script = scripts.find(starts - 1);
    co_return std::make_unique<Stream>(*this, script == scripts.end() ? pieces : script->second);
  }

  Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> Embed(const CallScope&,
                                                                   const EmbedCall& call) override {
    ++embeds;
    embedded_ids = call.ids;
    embedded_ends = call.input_ends;
    asked_pooling = call.pooling;
    asked_dimensions = call.dimensions;
    ++call.meter->attempts;
    co_return vectors;
  }

  absl::StatusOr<Identity> identity = Identity{"nlp", Role::kConsumer, "k"};
  absl::StatusOr<ResolvedModel> model =
      ResolvedModel{"digest", "teams/nlp/models/hamlet/versions/1", "tokenizer", "", 100, 2, {}};
  absl::StatusOr<std::vector<uint32_t>> ids = std::vector<uint32_t>{1, 2, 3};
  std::function<std::vector<uint32_t>(const Prompt&)> encode;  // instead of `ids`
  ToolFormat tool_format = ToolFormat::kTagged;  // of the template, where tools are offered
  struct Asked {
    std::string team, collection, query;
    int64_t top_k;
    bool operator==(const Asked&) const = default;
  };
  std::vector<Asked> searches;
  absl::StatusOr<std::vector<Passage>> passages = std::vector<Passage>();
  std::string decoded;  // what the ids of any prompt say
  absl::Status start;
  absl::StatusOr<std::vector<std::vector<float>>> vectors = std::vector<std::vector<float>>{{1, 0}};
  int embeds = 0;
  std::vector<uint32_t> embedded_ids;
  std::vector<size_t> embedded_ends;
  EmbeddingAsk::Pooling asked_pooling = EmbeddingAsk::Pooling::kMean;
  int64_t asked_dimensions = 0;
  std::shared_ptr<const policy::Policy> policy;
  absl::StatusOr<limits::Admission> admission = limits::Admission{};
  absl::StatusOr<limits::Charge> charge = limits::Charge{};
  absl::Status cache_status;
  std::map<std::pair<std::string, std::string>, cache::CachedAnswers> answers;
  std::vector<absl::StatusOr<Piece>> pieces;
  std::map<int, std::vector<absl::StatusOr<Piece>>>
      scripts;  // instead, of the start of that number
  std::vector<uint64_t> asked_seeds;
  std::vector<std::vector<uint32_t>> asked_ids;
  std::string asked_secret, asked_team;
  int64_t asked_max_tokens = 0;
  std::optional<uint64_t> asked_seed;
  std::optional<LogProbsAsk> asked_logprobs;
  std::vector<bool> asked_prompt_logprobs;
  Prompt asked_prompt;
  int admits = 0, finds = 0, starts = 0;
  int64_t charged_tokens = 0;
  std::vector<limits::Settlement> settlements;
  absl::Duration stored_ttl;
  int streams = 0;  // alive
  Unaccounted free;

 private:
  class Stream final : public TokenStream {
   public:
    Stream(FakePorts& ports, std::vector<absl::StatusOr<Piece>> pieces)
        : ports_(ports), pieces_(std::move(pieces)) {
      ++ports_.streams;
    }
    ~Stream() override { --ports_.streams; }
    Awaitable<absl::StatusOr<Piece>> Next() override { co_return pieces_.at(next_++); }

   private:
    FakePorts& ports_;
    const std::vector<absl::StatusOr<Piece>> pieces_;
    size_t next_ = 0;
  };
};

class FakeSink final : public AnswerSink {
 public:
  explicit FakeSink(FakePorts& ports) : ports_(ports) {}
  Awaitable<absl::Status> Write(const Request&, const Piece& piece) override {
    EXPECT_LE(ports_.streams, ports_.starts);  // none after a block, or of the cache
    pieces.push_back(piece);
    texts.push_back(piece.text);
    logprobs.insert(logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
    co_return status;
  }
  std::vector<std::string> texts;
  std::vector<TokenLogProbs> logprobs;
  std::vector<Piece> pieces;
  absl::Status status;

 private:
  FakePorts& ports_;
};

inline Piece Text(std::string text) { return Piece{.ids = {1}, .text = std::move(text)}; }
inline Piece Last(std::string text) {
  return Piece{.ids = {1}, .text = std::move(text), .finish = Finish{}};
}

}  // namespace floe::gateway
