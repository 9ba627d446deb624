// What the scheduler is asked, and what it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "inference/sampling/sampler.h"
#include "inference/sampling/token_constraint.h"

namespace floe::inference {

using RequestId = int64_t;

// OpenAI's service_tier; a later one goes before an earlier one.
enum class ServiceTier { kFlex, kDefault, kPriority };
inline constexpr int kNumTiers = 3;

// Ids to text as they come; a tokenizer's stream decoder behind an interface. Used by one thread at
// a time.
class TextStream {
 public:
  virtual ~TextStream() = default;
  // The text that `id` completes, maybe empty; never half a character.
  virtual std::string Push(int32_t id) = 0;
  // What is left at the end.
  virtual std::string Flush() = 0;
};

// Generates, unless `score_from` or `embed` asks for something else: the scores of the ids from
// that index on, or the embedding of all of them. At most one of the two is set.
struct Request {
  std::vector<int32_t> prompt;  // at least one id
  int64_t max_tokens = 0;       // new tokens, at least 1; the context may end it earlier
  SamplingParams sampling;
  std::vector<std::string> stop;     // texts; need `text`
  std::vector<int32_t> stop_ids;     // end-of-text ids included
  std::unique_ptr<TextStream> text;  // null: ids only
  // What the answer must look like; null: anything. An answer that is complete ends with kStop. The
  // ids that end a text by it must be stop_ids.
  std::unique_ptr<TokenConstraint> constraint;
  // The last so many ids of the prompt are the beginning of the answer, which moved here: their
  // text comes with the first new text, and stop texts may begin in it.
  int64_t continued = 0;
  // Requests of one salt share the keys and values of prompts that begin alike; empty: with nobody.
  std::string cache_salt;
  int64_t score_from = 0;  // in [1, prompt.size())
  bool embed = false;
  bool last_token = false;        // embeds the last id's hidden state alone, not the mean of all
  int64_t dimensions = 0;         // of the embedding: its first so many values; 0: all
  int top_logprobs = -1;          // -1: none; n: each new id's log-probability and the n likeliest
  bool sampled_logprobs = false;  // of the distribution that was drawn from; else the model's own
  // The prompt's ids, but for `continued` ones, are told of in the same way, by the model's own
  // distribution; needs top_logprobs. max_tokens may be 0 then.
  bool prompt_logprobs = false;
  ServiceTier tier = ServiceTier::kDefault;
  absl::Duration time_left = absl::InfiniteDuration();  // the client's: a later answer is worthless
};

struct TokenScore {
  float log_probability = 0;
  bool greedy = false;  // it was the likeliest
};

// Durations from Submit, by the one clock of the scheduler.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;  // a final stop id included
  int64_t cached_tokens = 0;      // of the prompt: taken from the prefix cache, not computed
  int64_t computed_tokens = 0;    // run through the model, recomputation after pre-emption included
  // Blocks of the KV cache times how long it held them; a block that is shared counts for each.
  absl::Duration kv_block_time;
  absl::Duration queue_time;  // to the first step
  absl::Duration time_to_first_token;
  absl::Duration total_time;
};

enum class FinishReason {
  kStop,       // a stop text or a stop id
  kLength,     // max_tokens or the context
  kScored,     // all ids are scored
  kEmbedded,   // the embedding is there
  kCancelled,  // status is CANCELLED
  kError,      // status says what
};

struct Finish {
  FinishReason reason = FinishReason::kStop;
  absl::Status status;
  Usage usage;
  ServiceTier tier_met = ServiceTier::kFlex;  // the best tier, up to the requested, that it met
};

// A piece of the answer. The last one, and only it, has `finish`.
struct Event {
  std::vector<int32_t> ids;   // new ids; stop ids and the ids of a stop text included
  std::string text;           // never part of a stop text
  int64_t cached_tokens = 0;  // with the first id: as in Usage
  std::vector<TokenLogProbabilities> logprobs;         // of `ids`, but for a final stop id
  std::vector<TokenLogProbabilities> prompt_logprobs;  // the next ids of the prompt; ahead of `ids`
  std::vector<TokenScore> scores;  // all of them, with the last event of a score
  // With the last event of an embedding: the hidden states after the final norm, pooled as the
  // request says, cut to its dimensions and divided by the length of what that gives.
  std::vector<float> embedding;
  std::optional<Finish> finish;
};

// Called on the scheduler's thread: must not block. Never called after the event with `finish`.
using EventSink = std::function<void(Event)>;

}  // namespace floe::inference
