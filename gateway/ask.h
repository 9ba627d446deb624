// What a client asks for, parsed and checked: a value, one for all endpoints that generate.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

#include "gateway/tools.h"

namespace floe::gateway {

// OpenAI's `service_tier` values; `auto` is kDefault.
enum class ServiceTier { kFlex, kDefault, kPriority };
std::string_view TierName(ServiceTier tier);

struct Message {
  std::string role;  // system, user, assistant or tool
  std::string content;
  std::vector<ToolCall> tool_calls = {};  // of an assistant
  std::string tool_call_id = {};          // of a tool: the call that it answers
  bool operator==(const Message&) const = default;
};

// A conversation, a text to go on with, or the ids of one.
using Prompt = std::variant<std::vector<Message>, std::string, std::vector<uint32_t>>;

// Defaults are OpenAI's. Zero or one means "keep all" where the worker's fields say so.
struct Sampling {
  float temperature = 1;  // 0 to 2; 0 is greedy
  int32_t top_k = 0;      // 0 keeps all
  float top_p = 1;        // (0, 1]
  float min_p = 0;        // 0 to 1
  std::optional<uint64_t> seed;
  float presence_penalty = 0;            // -2 to 2
  float frequency_penalty = 0;           // -2 to 2
  float repetition_penalty = 1;          // (0, 100]; 1 is none
  std::map<uint32_t, float> logit_bias;  // by id, -100 to 100
};

// How likely the answer's tokens were, and which others were as likely.
struct LogProbsAsk {
  int32_t top = 0;  // so many of the likeliest with each
  // Of the distribution that the token was drawn from, after biases, penalties, temperature and
  // filters; else the model's own.
  bool sampled = false;
};

// What an answer must look like: `response_format` of a chat, or `structured_outputs`.
struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema, kRegex, kGrammar };
  Kind kind = Kind::kText;
  std::string text;   // a JSON Schema, a regular expression or an EBNF grammar
  std::string param;  // the field that says it: `response_format.json_schema.schema`
  bool operator==(const ResponseFormat&) const = default;
};

// Where a request stands in a workflow of stateless calls: `floe: {workflow_id, parent_id, step}`.
struct WorkflowPlace {
  std::string id;         // chosen by the client: an id as resources have it
  std::string parent_id;  // the usage_id of the step that caused this one
  std::string step;       // for people
};

// Passages to answer from: `floe: {retrieval: {collection, top_k}}`, or `retrieval: "off"`.
struct RetrievalAsk {
  enum class Kind { kByPolicy, kOff, kAsked };
  Kind kind = Kind::kByPolicy;
  std::string collection;  // of kAsked: an id as resources have it, of the caller's team
  int64_t top_k = kDefaultTopK;

  static constexpr int64_t kDefaultTopK = 4;
  static constexpr int64_t kMaxTopK = 50;
};

// The prompts are to be turned into vectors, instead of being answered.
struct EmbeddingAsk {
  enum class Pooling { kMean, kLast };
  Pooling pooling = Pooling::kMean;
  int64_t dimensions = 0;  // so many values of each vector, its first ones; 0: all
  bool base64 = false;     // how the vectors are written: else as lists of numbers
};

struct Ask {
  std::string model;  // `hamlet`, `hamlet@production`, `hamlet@3`, `sha256:…`
  // At least one, and of a chat no more. Each is gone on with, or embedded, as if it were alone.
  std::vector<Prompt> prompts;
  std::optional<EmbeddingAsk> embedding;
  Sampling sampling;
  std::optional<int64_t> max_tokens;  // at least 1, but 0 where tells_prompt()
  std::vector<std::string> stop;      // none of them empty
  ResponseFormat response_format;
  ToolAsk tools;
  std::optional<LogProbsAsk> logprobs;
  int32_t choices = 1;  // answers that are wanted to each prompt
  int32_t best_of = 1;  // of so many that are made; at least `choices`
  bool echo = false;    // a completion begins with its prompt
  ServiceTier tier = ServiceTier::kDefault;
  bool stream = false;
  bool include_usage = false;  // a chunk with the usage at the end of a stream
  bool use_cache = true;       // `floe: {cache: "off"}` forbids a cached answer
  std::string cache_salt;  // narrows whose prompts share a worker's prefix cache inside the team
  RetrievalAsk retrieval;
  WorkflowPlace workflow;
  std::string max_cost;  // decimal US dollars that the request may cost; empty: no limit of its own
  std::map<std::string, std::string> tags;  // `metadata`: labels for usage reports
  // Paths of fields that nobody knows, printable and few: what a client is told of them.
  std::vector<std::string> ignored;

  bool is_chat() const {
    return !prompts.empty() && std::holds_alternative<std::vector<Message>>(prompts[0]);
  }
  // The answer begins with the prompt, and so do its log-probabilities.
  bool tells_prompt() const { return echo && logprobs.has_value(); }
  // Answers to all prompts, those to one side by side: given, and made.
  int64_t answers_given() const { return static_cast<int64_t>(prompts.size()) * choices; }
  int64_t answers_made() const { return static_cast<int64_t>(prompts.size()) * best_of; }
};

// What a client calls the prompt at `index`: `prompt`, of several `prompt[3]`, `input[3]`.
std::string PromptName(const Ask& ask, size_t index);

// An error that says which field is wrong, of the prompt at `index`: it says which of several.
absl::Status AboutPrompt(absl::Status status, const Ask& ask, size_t index);

// Whether `text` is dollars with at most 12 decimals: what an integer of picodollars can say.
bool IsDollarAmount(std::string_view text);

}  // namespace floe::gateway
