#include "gateway/openai/answer_format.h"

#include <bit>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <nlohmann/json.hpp>

#include "base/view.h"
#include "gateway/openai/log_probs.h"

namespace floe::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double Milliseconds(absl::Duration duration) {
  return std::round(absl::ToDoubleMicroseconds(duration)) / 1000;
}

Json UsageOf(const Finish& finish, const AnswerOutcome& outcome) {
  return {{"prompt_tokens", finish.prompt_tokens},
          {"completion_tokens", finish.completion_tokens},
          {"total_tokens", finish.prompt_tokens + finish.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", outcome.cached_tokens}}}};
}

Json CostOf(const AnswerCost& cost) {
  if (cost.amount.empty()) return nullptr;
  Json lines = Json::array();
  for (const AnswerCost::Line& line : cost.lines) {
    lines.push_back({{"kind", line.kind},
                     {"quantity", line.quantity},
                     {"unit_price", line.unit_price},
                     {"amount", line.amount}});
  }
  return {{"amount", cost.amount},
          {"currency", "USD"},
          {"price_book", cost.price_book},
          {"lines", std::move(lines)}};
}

Json FloeOf(const AnswerFacts& facts, const Finish& finish, const AnswerOutcome& outcome) {
  Json guardrails = Json::array();
  for (const GuardrailNote& note : outcome.guardrails) {
    guardrails.push_back({{"rule", note.rule},
                          {"action", note.action},
                          {"direction", note.direction},
                          {"count", note.count}});
  }
  Json citations = Json::array();
  for (const CitationNote& note : outcome.citations) {
    citations.push_back({{"document", note.document},
                         {"begin", note.begin},
                         {"end", note.end},
                         {"score", note.score}});
  }
  Json retrieval;
  if (!outcome.collection.empty()) {
    retrieval = {{"collection", outcome.collection}, {"usage_id", outcome.retrieval_usage_id}};
  }
  Json timings;
  for (const StageTime& time : outcome.times) {
    timings[absl::StrCat(AbslView(time.stage), "_ms")] = Milliseconds(time.took);
  }
  timings["worker_queue_ms"] = Milliseconds(finish.queue_time);
  timings["worker_first_token_ms"] = Milliseconds(finish.time_to_first_token);
  timings["worker_total_ms"] = Milliseconds(finish.total_time);
  return {{"checkpoint", facts.digest},
          {"model_version", facts.version},
          {"service_tier", std::string(TierName(facts.tier))},
          {"service_tier_met", finish.tier_met.empty() ? Json() : Json(finish.tier_met)},
          {"seed", facts.seed},
          {"policy", facts.policy},
          {"cache", facts.cache},
          {"retrieval", std::move(retrieval)},
          {"citations", std::move(citations)},
          {"guardrails", std::move(guardrails)},
          {"usage_id", facts.usage_id},
          {"cost", CostOf(outcome.cost)},
          {"trace_id", facts.trace_id},
          {"timings", std::move(timings)}};
}

// The fields that every object of one answer shares.
Json Head(const AnswerFacts& facts, bool chunk) {
  Json head;
  head["id"] = absl::StrCat(facts.chat ? "chatcmpl-" : "cmpl-", facts.request_id);
  head["object"] = !facts.chat ? "text_completion"
                   : chunk     ? "chat.completion.chunk"
                               : "chat.completion";
  head["created"] = absl::ToUnixSeconds(facts.created);
  head["model"] = facts.model;
  head["service_tier"] = std::string(TierName(facts.tier));
  head["system_fingerprint"] = absl::StrCat("sha256:", facts.digest);
  return head;
}

Json Choice(int64_t index, const char* key, Json value, Json logprobs, Json reason) {
  return {{"index", index},
          {key, std::move(value)},
          {"logprobs", std::move(logprobs)},
          {"finish_reason", std::move(reason)}};
}

// A chunk whose choice carries `value`.
Json Chunk(const AnswerFacts& facts, int32_t choice, Json value, Json logprobs, Json reason) {
  Json chunk = Head(facts, /*chunk=*/true);
  chunk["choices"] = Json::array({Choice(choice, facts.chat ? "delta" : "text", std::move(value),
                                         std::move(logprobs), std::move(reason))});
  if (facts.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

Json EndingChunk(const AnswerFacts& facts, int32_t choice, FinishReason reason) {
  return Chunk(facts, choice, facts.chat ? Json::object() : Json(""), {},
               std::string(FinishReasonName(reason)));
}

Json CallOf(const ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

std::string Base64Of(const std::vector<float>& vector) {
  std::string bytes;
  bytes.reserve(vector.size() * sizeof(float));
  for (const float value : vector) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(bits >> (8 * i)));
  }
  return absl::Base64Escape(bytes);
}

Json ModelJson(const ModelEntry& model) {
  return {{"id", model.id},
          {"object", "model"},
          {"created", absl::ToUnixSeconds(model.created)},
          {"owned_by", model.owner}};
}

}  // namespace

std::string AnswerFormat::Whole(const std::vector<AnswerText>& answers, const Finish& finish,
                                const AnswerOutcome& outcome) const {
  Json whole = Head(facts_, /*chunk=*/false);
  Json& choices = whole["choices"] = Json::array();
  for (const AnswerText& answer : answers) {
    int64_t offset = 0;
    Json logprobs;
    if (facts_.logprobs) logprobs = LogProbsOf(answer.logprobs, facts_.chat, offset);
    Json value = answer.text;
    if (facts_.chat) {
      value = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
      if (!answer.calls.empty()) {
        if (answer.text.empty()) value["content"] = nullptr;
        for (const ToolCall& call : answer.calls) value["tool_calls"].push_back(CallOf(call));
      }
    }
    choices.push_back(Choice(static_cast<int64_t>(choices.size()), facts_.chat ? "message" : "text",
                             std::move(value), std::move(logprobs),
                             std::string(FinishReasonName(answer.reason))));
  }
  whole["usage"] = UsageOf(finish, outcome);
  whole["floe"] = FloeOf(facts_, finish, outcome);
  return Dump(whole);
}

std::string AnswerFormat::Opening(int32_t choice) const {
  if (!facts_.chat) return "";
  return Dump(Chunk(facts_, choice, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}},
                    {}, {}));
}

std::string AnswerFormat::Delta(int32_t choice, const AnswerText& part) {
  const auto at = static_cast<size_t>(choice);
  if (chunks_.size() <= at) chunks_.resize(at + 1);
  Chunks& chunks = chunks_[at];
  const auto dump = [&](Json text, Json logprobs) {
    Json value = facts_.chat ? Json{{"content", std::move(text)}} : std::move(text);
    return Dump(Chunk(facts_, choice, std::move(value), std::move(logprobs), {}));
  };
  if (facts_.logprobs) {
    return dump(part.text, LogProbsOf(part.logprobs, facts_.chat, chunks.text_offset));
  }
  if (chunks.head.empty()) {
    // A stream has one chunk a token: only its text is formatted anew. The mark cannot occur before
    // its place but in `model`, which stands earlier, so the last one counts.
    const std::string mark = "\"\\u0000floe\"";
    const std::string chunk = dump(std::string("\0floe", 5), {});
    const size_t place = chunk.rfind(mark);
    chunks.head = chunk.substr(0, place);
    chunks.tail = chunk.substr(place + mark.size());
  }
  return absl::StrCat(chunks.head, Dump(part.text), chunks.tail);
}

// Each whole: its arguments are known to be JSON only when they have ended.
std::string AnswerFormat::Calls(int32_t choice, const std::vector<ToolCall>& calls) {
  const auto at = static_cast<size_t>(choice);
  if (chunks_.size() <= at) chunks_.resize(at + 1);
  Json list = Json::array();
  for (const ToolCall& call : calls) {
    Json one = {{"index", chunks_[at].calls++}};
    one.update(CallOf(call));
    list.push_back(std::move(one));
  }
  return Dump(Chunk(facts_, choice, {{"tool_calls", std::move(list)}}, {}, {}));
}

std::string AnswerFormat::Ending(int32_t choice, FinishReason reason) const {
  return Dump(EndingChunk(facts_, choice, reason));
}

std::string AnswerFormat::Closing(int32_t choice, FinishReason reason, const Finish& finish,
                                  const AnswerOutcome& outcome) const {
  Json chunk = EndingChunk(facts_, choice, reason);
  chunk["floe"] = FloeOf(facts_, finish, outcome);
  return Dump(chunk);
}

std::string AnswerFormat::Usage(const Finish& finish, const AnswerOutcome& outcome) const {
  Json chunk = Head(facts_, /*chunk=*/true);
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageOf(finish, outcome);
  return Dump(chunk);
}

std::string EmbeddingsObject(const AnswerFacts& facts,
                             const std::vector<std::vector<float>>& vectors, bool base64,
                             const Finish& finish, const AnswerOutcome& outcome) {
  Json object = {{"object", "list"}, {"data", Json::array()}};
  for (size_t i = 0; i < vectors.size(); ++i) {
    Json value = base64 ? Json(Base64Of(vectors[i])) : Json(vectors[i]);
    object["data"].push_back(
        {{"object", "embedding"}, {"index", i}, {"embedding", std::move(value)}});
  }
  object["model"] = facts.model;
  object["usage"] = {{"prompt_tokens", finish.prompt_tokens},
                     {"total_tokens", finish.prompt_tokens}};
  object["floe"] = FloeOf(facts, finish, outcome);
  // Nothing of it is drawn, kept or retrieved.
  for (const char* field : {"seed", "cache", "retrieval", "citations", "service_tier_met"}) {
    object["floe"].erase(field);
  }
  return Dump(object);
}

std::string ModelObject(const ModelEntry& model) { return Dump(ModelJson(model)); }

std::string ModelList(const std::vector<ModelEntry>& models) {
  Json list = {{"object", "list"}, {"data", Json::array()}};
  for (const ModelEntry& model : models) list["data"].push_back(ModelJson(model));
  return Dump(list);
}

std::string ServerTiming(const std::vector<StageTime>& times) {
  std::string value;
  for (const StageTime& time : times) {
    absl::StrAppend(&value, value.empty() ? "" : ", ", AbslView(time.stage),
                    absl::StrFormat(";dur=%.3f", absl::ToDoubleMilliseconds(time.took)));
  }
  return value;
}

}  // namespace floe::gateway::openai
