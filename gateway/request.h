// The governed request: what came in, and what each stage found out about it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "gateway/accounting.h"
#include "gateway/ask.h"
#include "gateway/cache/answer_cache.h"
#include "gateway/choices.h"
#include "gateway/generation.h"
#include "gateway/guardrails/rules.h"
#include "gateway/limits/rate_limits.h"
#include "gateway/policy/policy.h"
#include "gateway/ports.h"
#include "gateway/schema/schema.h"

namespace floe::gateway {

struct Request;

// Where the answer goes; one a request, by whoever received it. Every wait lets a slow client slow
// the worker down, within the limits of who implements it.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  // A piece that has text or a finish; CANCELLED when the client is gone.
  virtual Awaitable<absl::Status> Write(const Request& request, const Piece& piece) = 0;
};

enum class Direction { kInput, kRetrieved, kOutput };
std::string_view DirectionName(Direction direction);  // input, retrieved, output

// What a rule found in the prompt, in a passage or in the answer.
struct GuardFinding {
  Direction direction = Direction::kInput;
  guardrails::Finding finding;
};

// The passages that were put in front of the question. Their texts are in the prompt.
struct Retrieved {
  struct Citation {
    std::string document;  // its resource name
    int64_t begin = 0;     // bytes of the document
    int64_t end = 0;
    double score = 0;
  };
  std::string collection;           // its id
  std::vector<Citation> citations;  // in the order of the prompt
  std::string usage_id;             // of the search, a billable call of its own
  absl::Duration took;
};

// What was counted for the request, and what the client is told about it.
struct RequestLimits {
  limits::Level requests;
  limits::Level tokens;
  std::string place;           // of a limited number at once; empty: none
  int64_t charged_tokens = 0;  // corrected when the request ends
};

// kOff: the cache was not asked.
enum class CacheUse { kOff, kMiss, kHit };
std::string_view CacheUseName(CacheUse use);

// Belongs to one coroutine at a time. The stages that fill a field are named above it; later stages
// read it.
struct Request {
  // Arrival.
  std::string id;             // X-Request-Id
  std::string what;           // `POST /v1/chat/completions`
  std::string authorization;  // the header, with the key; empty: none was sent
  std::string trace_id;
  std::string usage_id;  // minted here, so it is unique; never anything that a client sent
  absl::Time arrived;
  Ask ask;
  AnswerSink* sink = nullptr;  // borrowed

  // identify fills in the caller.
  CallScope scope;

  // admit
  std::shared_ptr<const policy::Policy> policy;  // shared with all requests that began under it
  const policy::TeamPolicy* rules = nullptr;     // the caller's team's, inside `policy`
  RequestLimits limits;

  // policy
  ResolvedModel model;
  std::unique_ptr<const Schema> schema;  // of the answer; null: any text

  // guard_input (which may mask ask.prompts) and guard_output
  std::vector<GuardFinding> findings;
  bool input_guarded = false;  // what ask.prompts say has passed the rules
  // What the answers to each prompt begin with: it, as the rules let it pass. None: no echo.
  std::vector<std::string> echoes;

  // retrieve (which puts passages into the prompt); none: it was not asked for
  std::optional<Retrieved> retrieved;

  // quote
  std::vector<uint32_t> prompt_ids;            // of all prompts, one after the other
  std::vector<size_t> prompt_ends;             // where in prompt_ids each of them ends
  ToolFormat tool_format = ToolFormat::kNone;  // in which the model may call what is offered
  int64_t max_tokens = 0;   // of each answer; one that fills the context ends before
  bool seed_drawn = false;  // by the gateway, not the client's
  std::shared_ptr<const PriceList> prices;  // shared with other requests; null: nothing is charged
  PricedCall priced;
  Cost worst_case;

  // cache
  CacheUse cache = CacheUse::kOff;
  std::optional<cache::Key> cache_key;         // where the answers may be stored
  std::optional<cache::CachedAnswers> cached;  // those that were found

  // reserve
  std::optional<Reservation> reservation;

  // generate; a later stage may put a stream of its own around it.
  Meter meter;
  std::unique_ptr<TokenStream> stream;
  // By prompt, of an echo: how likely its tokens were. There once the first answer to it has begun.
  std::vector<std::vector<TokenLogProbs>> echo_logprobs;
  // Instead, of several answers: one each, those to one prompt side by side.
  std::vector<std::unique_ptr<TokenStream>> streams;
  std::vector<Likelihood> likelihoods;  // of those, as far as they have come

  // embed
  std::vector<std::vector<float>> vectors;  // one an input

  // guard_output
  int64_t arrived_tokens = 0;  // ids that came from workers
  // By answer: as the worker gave it, when nothing was changed.
  std::map<size_t, cache::CachedAnswer> whole;

  // settle
  bool settled = false;  // its record is on its way, or was not needed
  Cost cost;

  // answer
  int64_t pieces = 0;
  // By answer: what left, when the policy wants it in the audit.
  std::vector<std::string> answer_texts;
  std::vector<std::vector<ToolCall>> answer_calls;
  std::optional<Finish> finish;

  // The pipeline.
  std::vector<StageTime> times;
};

// Those of one prompt, once it is quoted.
std::span<const uint32_t> IdsOf(const Request& request, size_t prompt);

// The prompt that an answer belongs to, by its place among all that are made.
size_t PromptIndex(const Request& request, size_t answer);

}  // namespace floe::gateway
