#include "gateway/openai/parse.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/json/strict_json.h"
#include "base/resource_name.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/openai/answer_form.h"
#include "gateway/openai/decoding.h"
#include "gateway/openai/field_reader.h"
#include "gateway/openai/prompt.h"
#include "gateway/openai/tools.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;

constexpr size_t kMaxModelBytes = 512;
constexpr size_t kMaxLabelBytes = 4096;
constexpr size_t kMaxStepBytes = 64;
constexpr size_t kMaxCacheSaltBytes = 256;
constexpr size_t kMaxTags = 16;
constexpr size_t kMaxTagNameBytes = 64;
constexpr size_t kMaxTagBytes = 256;
constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

absl::StatusOr<json> ParseObject(std::string_view body) {
  if (NestsTooDeep(body)) {
    return FieldError("", "INVALID_JSON",
                      absl::StrCat("the request body nests deeper than ", kMaxJsonDepth,
                                   " levels; send a flatter one"));
  }
  json object;
  try {
    object = json::parse(body);
  } catch (const json::exception& error) {
    return FieldError("", "INVALID_JSON",
                      absl::StrCat("the request body is not valid JSON: ", error.what()));
  }
  if (object.is_object()) return object;
  return FieldError(
      "", "INVALID_TYPE",
      absl::StrCat("the request body is ", AbslView(TypeName(object)), "; send a JSON object"));
}

void ReadMaxTokens(FieldReader& fields, Ask& ask, bool chat) {
  ask.max_tokens = fields.Integer("max_tokens", chat ? 1 : 0, kMaxInt);
  if (!chat) return;
  const auto newer = fields.Integer("max_completion_tokens", 1, kMaxInt);
  if (newer && ask.max_tokens && *newer != *ask.max_tokens) {
    fields.Fail("max_completion_tokens", "INVALID_VALUE",
                "differs from max_tokens, its older name; send one of the two");
  }
  if (newer) ask.max_tokens = newer;
}

void ReadStop(FieldReader& fields, Ask& ask) {
  const json* stop = fields.Take("stop");
  if (stop == nullptr) return;
  if (!stop->is_string() && !stop->is_array()) {
    fields.Fail(
        "stop", "INVALID_TYPE",
        absl::StrCat("is ", AbslView(TypeName(*stop)), "; write a string or an array of strings"));
    return;
  }
  const json list = stop->is_array() ? *stop : json::array({*stop});
  if (list.size() > kMaxStops) {
    fields.Fail("stop", "INVALID_VALUE",
                absl::StrCat("has ", list.size(), " strings; send at most ", kMaxStops));
    return;
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = absl::StrCat("stop[", i, "]");
    if (!list[i].is_string()) {
      fields.Fail(path, "INVALID_TYPE",
                  absl::StrCat("is ", AbslView(TypeName(list[i])), "; write a string"));
      return;
    }
    auto text = list[i].get<std::string>();
    if (text.empty() || text.size() > kMaxStopBytes) {
      fields.Fail(path, "INVALID_VALUE",
                  absl::StrCat("has ", text.size(), " bytes; write 1 to ", kMaxStopBytes));
      return;
    }
    ask.stop.push_back(std::move(text));
  }
}

void ReadTier(FieldReader& fields, Ask& ask) {
  const auto tier = fields.String("service_tier", kMaxLabelBytes);
  if (!tier || *tier == "auto" || *tier == "default") return;
  if (*tier == "flex") {
    ask.tier = ServiceTier::kFlex;
  } else if (*tier == "priority") {
    ask.tier = ServiceTier::kPriority;
  } else {
    fields.Fail("service_tier", "INVALID_VALUE",
                "is not known; write auto, flex, default or priority");
  }
}

void ReadStream(FieldReader& fields, Ask& ask) {
  ask.stream = fields.Bool("stream").value_or(false);
  const json* options = fields.Take("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) {
    fields.Fail("stream_options", "INVALID_TYPE",
                absl::StrCat("is ", AbslView(TypeName(*options)), "; write an object"));
    return;
  }
  FieldReader inner(*options, "stream_options");
  ask.include_usage = inner.Bool("include_usage").value_or(false);
  inner.Ignore("include_obfuscation");
  fields.Adopt("stream_options", inner);
  if (!ask.stream) {
    fields.Fail("stream_options", "INVALID_VALUE", "is only allowed with stream: true");
  }
}

void ReadWorkflow(FieldReader& floe, WorkflowPlace& place) {
  const auto id = floe.String("workflow_id", kMaxLabelBytes);
  const auto parent = floe.String("parent_id", kMaxLabelBytes);
  const auto step = floe.String("step", kMaxStepBytes);
  for (const auto& [field, value] : {std::pair{"workflow_id", &id}, {"parent_id", &parent}}) {
    if (*value && !IsResourceId(**value)) {
      floe.Fail(field, "INVALID_VALUE",
                "must be 1 to 63 of a-z 0-9 - _ . and begin with a letter or digit");
    }
  }
  if (step && step->find('\0') != std::string::npos) {
    floe.Fail("step", "INVALID_VALUE", "has a zero byte");
  }
  if ((parent || step) && !id) {
    floe.Fail("workflow_id", "MISSING_REQUIRED_PARAMETER",
              "is missing; parent_id and step place a request in a workflow");
  }
  place = {id.value_or(""), parent.value_or(""), step.value_or("")};
}

void ReadRetrieval(FieldReader& floe, RetrievalAsk& asked) {
  const json* retrieval = floe.Take("retrieval");
  if (retrieval == nullptr) return;
  if (*retrieval == "off") {
    asked.kind = RetrievalAsk::Kind::kOff;
    return;
  }
  if (!retrieval->is_object()) {
    floe.Fail("retrieval", "INVALID_VALUE", "must be \"off\" or an object {\"collection\": …}");
    return;
  }
  FieldReader inner(*retrieval, floe.PathOf("retrieval"));
  const auto collection = inner.String("collection", kMaxLabelBytes);
  const auto top_k = inner.Integer("top_k", 1, RetrievalAsk::kMaxTopK);
  if (!collection || !IsResourceId(*collection)) {
    inner.Fail("collection", collection ? "INVALID_VALUE" : "MISSING_REQUIRED_PARAMETER",
               "must be the id of a collection of your team, as `floe docs ls` lists them");
  }
  asked = {RetrievalAsk::Kind::kAsked, collection.value_or(""),
           top_k.value_or(RetrievalAsk::kDefaultTopK)};
  floe.Adopt("retrieval", inner);
}

void ReadPooling(FieldReader& floe, EmbeddingAsk& wanted) {
  const auto pooling = floe.String("pooling", kMaxLabelBytes);
  if (pooling && *pooling != "mean" && *pooling != "last") {
    floe.Fail("pooling", "INVALID_VALUE", "is not known; write mean or last");
  }
  if (pooling == "last") wanted.pooling = EmbeddingAsk::Pooling::kLast;
}

void ReadCache(FieldReader& floe, Ask& ask) {
  const auto cache = floe.String("cache", kMaxLabelBytes);
  if (cache && *cache != "on" && *cache != "off") {
    floe.Fail("cache", "INVALID_VALUE", "is not known; write on or off");
  }
  ask.use_cache = cache != "off";
}

void ReadFloe(FieldReader& fields, Ask& ask) {
  const json* floe = fields.Take("floe");
  if (floe == nullptr) return;
  if (!floe->is_object()) {
    fields.Fail("floe", "INVALID_TYPE",
                absl::StrCat("is ", AbslView(TypeName(*floe)), "; write an object"));
    return;
  }
  FieldReader inner(*floe, "floe");
  if (ask.embedding) {
    ReadPooling(inner, *ask.embedding);
  } else {
    ReadCache(inner, ask);
    ReadLogProbsOf(inner, ask.logprobs);
    ReadRetrieval(inner, ask.retrieval);
  }
  ReadWorkflow(inner, ask.workflow);
  fields.Adopt("floe", inner);
}

// What usage reports can group by: OpenAI's limits of metadata, but half as long.
bool IsTag(const std::string& name, const json& value) {
  if (name.empty() || name.size() > kMaxTagNameBytes || !value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() <= kMaxTagBytes && (name + text).find('\0') == std::string::npos;
}

void ReadTags(FieldReader& fields, Ask& ask) {
  const json* tags = fields.Take("metadata");
  if (tags == nullptr) return;
  if (!tags->is_object() || tags->size() > kMaxTags) {
    fields.Fail("metadata", "INVALID_VALUE",
                absl::StrCat("must be an object of at most ", kMaxTags, " strings"));
    return;
  }
  for (const auto& [name, value] : tags->items()) {
    if (!IsTag(name, value)) {
      fields.Fail(
          "metadata", "INVALID_VALUE",
          absl::StrCat("has a name or value that does not fit: names of 1 to ", kMaxTagNameBytes,
                       " bytes, values that are strings of at most ", kMaxTagBytes, ", no zeros"));
      return;
    }
    ask.tags.emplace(name, value.get<std::string>());
  }
}

// What only labels a request.
void ReadLabels(FieldReader& fields, Ask& ask) {
  ReadTags(fields, ask);
  for (const std::string_view label : {"user", "safety_identifier", "prompt_cache_key"}) {
    fields.Ignore(label);
  }
}

void ReadChatOnly(FieldReader& fields) {
  fields.Unsupported("functions", json::array());
  fields.Unsupported("function_call", "none");
  fields.Unsupported("modalities", json::array({"text"}));
  fields.Unsupported("audio", nullptr);
  fields.Unsupported("prediction", nullptr);
  fields.Unsupported("web_search_options", nullptr);
  fields.Unsupported("reasoning_effort", nullptr);
  fields.Unsupported("verbosity", nullptr);
  fields.Unsupported("store", false);
}

void ReadCompletionOnly(FieldReader& fields, Ask& ask) {
  ReadEcho(fields, ask);
  fields.Unsupported("suffix", "");
}

// `input` and how its vectors are written.
void ReadEmbedding(FieldReader& fields, Ask& ask) {
  EmbeddingAsk& wanted = ask.embedding.emplace();
  fields.Fail(ReadTexts(fields, "input", kMaxInputs, ask.prompts));
  const auto encoding = fields.String("encoding_format", kMaxLabelBytes);
  if (encoding && *encoding != "float" && *encoding != "base64") {
    fields.Fail("encoding_format", "INVALID_VALUE", "is not known; write float or base64");
  }
  wanted.base64 = encoding == "base64";
  wanted.dimensions = fields.Integer("dimensions", 1, kMaxInt).value_or(0);
  ReadFloe(fields, ask);
}

void ReadGeneration(FieldReader& fields, bool chat, Ask& ask) {
  fields.Fail(chat ? ReadMessages(fields, ask.prompts)
                   : ReadTexts(fields, "prompt", kMaxPrompts, ask.prompts));
  ReadMaxTokens(fields, ask, chat);
  ReadSampling(fields, ask.sampling);
  ReadStop(fields, ask);
  ReadStream(fields, ask);
  ReadChoices(fields, chat, ask);
  ask.cache_salt = fields.String("cache_salt", kMaxCacheSaltBytes).value_or("");
  ReadStructuredOutputs(fields, ask.response_format);
  ReadLogProbs(fields, chat, ask.logprobs);
  ReadFloe(fields, ask);
  if (chat) {
    ReadResponseFormat(fields, ask.response_format);
    ReadTools(fields, ask.tools);
    if (ask.tools.offered() && ask.response_format.kind != ResponseFormat::Kind::kText) {
      fields.Fail("tools", "INVALID_VALUE",
                  "cannot be called by an answer that has a form; leave out one of the two");
    }
    ReadChatOnly(fields);
  } else {
    ReadCompletionOnly(fields, ask);
  }
}

Ask ReadAsk(FieldReader& fields, Body body) {
  Ask ask;
  const auto model = fields.String("model", kMaxModelBytes);
  if (!model || model->empty()) {
    fields.Fail("model", "MISSING_REQUIRED_PARAMETER",
                "is missing; name a model, as GET /v1/models lists them");
  } else {
    ask.model = *model;
  }
  ReadTier(fields, ask);
  ReadMaxCost(fields, ask);
  ReadLabels(fields, ask);
  if (body == Body::kEmbedding) {
    ReadEmbedding(fields, ask);
  } else {
    ReadGeneration(fields, body == Body::kChat, ask);
  }
  return ask;
}

absl::StatusOr<Ask> Parse(std::string_view body, Body kind) {
  FLOE_ASSIGN_OR_RETURN(const json object, ParseObject(body));
  FieldReader fields(object, "");
  Ask ask = ReadAsk(fields, kind);
  FLOE_RETURN_IF_ERROR(fields.Finish());
  ask.ignored = fields.ignored();
  if (fields.ignored_count() > ask.ignored.size()) {
    ask.ignored.push_back(absl::StrCat("+", fields.ignored_count() - ask.ignored.size()));
  }
  KeepSchemaOrder(body, ask.response_format);
  KeepToolOrder(body, ask.tools);
  return ask;
}

}  // namespace

absl::StatusOr<Ask> ParseChat(std::string_view body) { return Parse(body, Body::kChat); }

absl::StatusOr<Ask> ParseCompletion(std::string_view body) {
  return Parse(body, Body::kCompletion);
}

absl::StatusOr<Ask> ParseEmbedding(std::string_view body) { return Parse(body, Body::kEmbedding); }

std::vector<std::string> KnownFields(Body body) {
  // A request in which every object that has fields of its own is there.
  json object = {{"model", "m"}, {"floe", json::object()}};
  if (body == Body::kEmbedding) {
    object["input"] = "i";
  } else {
    object.update({{"stream", true},
                   {"stream_options", json::object()},
                   {"structured_outputs", {{"regex", "r"}}},
                   {"floe", {{"retrieval", {{"collection", "c"}}}}}});
  }
  if (body == Body::kCompletion) object["prompt"] = "p";
  if (body == Body::kChat) {
    object["messages"] = json::array({{{"role", "user"}, {"content", "c"}}});
    object["response_format"] = {{"type", "json_schema"},
                                 {"json_schema", {{"schema", json::object()}}}};
  }
  FieldReader fields(object, "");
  ReadAsk(fields, body);
  return fields.known();
}

}  // namespace floe::gateway::openai
