// What a client asks for, parsed and checked: a value, one for all endpoints that generate.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace floe::gateway {

// OpenAI's `service_tier` values; `auto` is kDefault.
enum class ServiceTier { kFlex, kDefault, kPriority };
std::string_view TierName(ServiceTier tier);

struct Message {
  std::string role;  // system, user or assistant
  std::string content;
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

struct Ask {
  std::string model;  // `hamlet`, `hamlet@production`, `hamlet@3`, `sha256:…`
  Prompt prompt;
  Sampling sampling;
  std::optional<int64_t> max_tokens;  // at least 1
  std::vector<std::string> stop;      // none of them empty
  ResponseFormat response_format;
  ServiceTier tier = ServiceTier::kDefault;
  bool stream = false;
  bool include_usage = false;  // a chunk with the usage at the end of a stream
  bool use_cache = true;       // `floe: {cache: "off"}` forbids a cached answer
  std::string cache_salt;  // narrows whose prompts share a worker's prefix cache inside the team
  RetrievalAsk retrieval;
  WorkflowPlace workflow;
  std::map<std::string, std::string> tags;  // `metadata`: labels for usage reports

  bool is_chat() const { return std::holds_alternative<std::vector<Message>>(prompt); }
};

}  // namespace floe::gateway
