// What the stages need from outside. Each port is implemented in services/gateway, which decides
// what is cheap enough for the I/O thread and what is not: awaiting never blocks it. All are
// thread-safe unless they say otherwise. Cancelling the awaiting coroutine cancels the work behind
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/ask.h"
#include "gateway/auth/key.h"
#include "gateway/awaitable.h"
#include "gateway/generation.h"
#include "gateway/policy/policy.h"

namespace floe::gateway {

// On whose behalf a port is called: carried to the services behind.
struct CallScope {
  Identity caller;
  std::string request_id;
  std::string traceparent;  // W3C, this request's span
  absl::Time deadline = absl::InfiniteFuture();
};

// A model reference, resolved once for the whole request.
struct ResolvedModel {
  std::string digest;                   // SHA-256 of the checkpoint's manifest
  std::string version;                  // teams/nlp/models/hamlet/versions/7
  std::string tokenizer_digest;         // SHA-256 of its tokenizer.json
  std::string tokenizer_config_digest;  // of its tokenizer_config.json; empty: it has none
  int64_t context = 0;                  // most tokens of prompt and answer together
  int64_t hidden_size = 0;              // values of a vector
  absl::Time created;
};

struct ModelSummary {
  std::string id;  // what a request may name: `hamlet`, `hamlet@canary`
  std::string team;
  absl::Time created;
};

class KeyLookup {
 public:
  virtual ~KeyLookup() = default;
  // UNAUTHENTICATED when nobody has this key (any more).
  virtual Awaitable<absl::StatusOr<Identity>> Identify(std::string_view secret) = 0;
};

class Policies {
 public:
  virtual ~Policies() = default;
  // The policy that holds now; never null. A request keeps the one that it asked for first.
  virtual std::shared_ptr<const policy::Policy> Current() const = 0;
};

class Models {
 public:
  virtual ~Models() = default;
  // NOT_FOUND for what the caller's team does not have.
  virtual Awaitable<absl::StatusOr<ResolvedModel>> Resolve(const CallScope& scope,
                                                           const std::string& reference) = 0;
  virtual Awaitable<absl::StatusOr<std::vector<ModelSummary>>> List(const CallScope& scope) = 0;
};

struct EncodedPrompt {
  std::vector<uint32_t> ids;
  ToolFormat tool_format = ToolFormat::kNone;  // of the model's calls
};

class PromptEncoder {
 public:
  virtual ~PromptEncoder() = default;
  // The prompt by the model's own template and tokenizer: what the worker gets, and what is billed.
  // Where a call is required and the template has a tag for it, it ends inside of one.
  // INVALID_ARGUMENT names what cannot be encoded, FAILED_PRECONDITION tools that the model's
  // template does not know.
  virtual Awaitable<absl::StatusOr<EncodedPrompt>> Encode(const CallScope& scope,
                                                          const ResolvedModel& model,
                                                          const Prompt& prompt,
                                                          const ToolAsk& tools) = 0;
  // What the ids of a prompt say, for rules that look at texts. INVALID_ARGUMENT for ids that the
  // model does not have.
  virtual Awaitable<absl::StatusOr<std::string>> Decode(const CallScope& scope,
                                                        const ResolvedModel& model,
                                                        const std::vector<uint32_t>& ids) = 0;
};

// What a collection says to a question.
struct Passage {
  std::string document;  // its resource name
  int64_t begin = 0;     // bytes of the document
  int64_t end = 0;
  double score = 0;  // orders the passages of one search
  std::string text;
};

class Retriever {
 public:
  virtual ~Retriever() = default;
  // At most `top_k` passages of the caller's team's collection, best first. NOT_FOUND for what the
  // team does not have, UNAVAILABLE while nobody can search, UNIMPLEMENTED where there is no
  // retrieval.
  virtual Awaitable<absl::StatusOr<std::vector<Passage>>> Search(const CallScope& scope,
                                                                 const std::string& collection,
                                                                 const std::string& query,
                                                                 int64_t top_k) = 0;
};

// Pieces of one answer, pulled: who does not pull slows the worker down. Used by one coroutine at a
// time. Destroying it cancels what is behind it.
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  // The next piece. After the one with `finish`, or an error, it must not be called again.
  virtual Awaitable<absl::StatusOr<Piece>> Next() = 0;
};

// What came from workers for one request, whatever becomes of it. Written by the generator and the
// stage that asks it, read by who settles.
struct Meter {
  int calls = 0;         // calls of workers; each has its number
  int attempts = 0;      // but for those that refused it
  int64_t arrived = 0;   // ids of the answer
  absl::Status failure;  // why it ended, if not by a finish
  // By prompt: ids of it that the first worker to answer it had cached; nothing while none has.
  std::vector<std::optional<int64_t>> cached_prompts;
  absl::Duration first_token;  // from the request's arrival; zero: none has come
  // Digests of workers' receipts: for answers, and for what errors ended.
  std::vector<std::string> receipts;

  // Empty: the worker gave none. A usage event has room for so many.
  void NoteReceipt(std::string digest) {
    constexpr size_t kMost = 200;
    if (!digest.empty() && receipts.size() < kMost) receipts.push_back(std::move(digest));
  }
};

struct GenerateCall {
  const ResolvedModel& model;
  std::span<const uint32_t> prompt_ids;
  const Sampling& sampling;  // with a seed
  int64_t max_tokens;
  const std::vector<std::string>& stop;
  const ResponseFormat& response_format;
  std::optional<LogProbsAsk> logprobs;
  bool prompt_logprobs = false;  // those of the prompt too, with the first piece
  ServiceTier tier;
  std::string cache_salt;  // whose prompts share a worker's prefix cache; never empty
  std::string usage_id;    // for the workers' own records
  Meter* meter = nullptr;  // of the request that owns the stream
};

class Generator {
 public:
  virtual ~Generator() = default;
  // A stream whose first piece has come. It may go on at another worker when one fails.
  // RESOURCE_EXHAUSTED when every worker is full, UNAVAILABLE when none answers, INVALID_ARGUMENT
  // with the reason INVALID_CONSTRAINT for a form that cannot be enforced.
  virtual Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(
      const CallScope& scope, const GenerateCall& call) = 0;
};

struct EmbedCall {
  const ResolvedModel& model;
  const std::vector<uint32_t>& ids;       // of all inputs, one after the other
  const std::vector<size_t>& input_ends;  // where in `ids` each ends
  EmbeddingAsk::Pooling pooling;
  int64_t dimensions;  // of each vector, its first ones; 0: all
  ServiceTier tier;
  std::string usage_id;
  Meter* meter = nullptr;  // of the request
};

class Embedder {
 public:
  virtual ~Embedder() = default;
  // A vector of length 1 for each input, in their order. Errors as Generator::Start.
  virtual Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> Embed(
      const CallScope& scope, const EmbedCall& call) = 0;
};

}  // namespace floe::gateway
