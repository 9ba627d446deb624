#include "gateway/openai/answer_format.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <nlohmann/json.hpp>

#include "base/view.h"

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

Json Choice(const char* key, Json value, Json reason) {
  return Json::array({{{"index", 0},
                       {key, std::move(value)},
                       {"logprobs", nullptr},
                       {"finish_reason", std::move(reason)}}});
}

// A chunk whose choice carries `value`.
Json Chunk(const AnswerFacts& facts, Json value, Json reason) {
  Json chunk = Head(facts, /*chunk=*/true);
  chunk["choices"] = Choice(facts.chat ? "delta" : "text", std::move(value), std::move(reason));
  if (facts.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

Json ModelJson(const ModelEntry& model) {
  return {{"id", model.id},
          {"object", "model"},
          {"created", absl::ToUnixSeconds(model.created)},
          {"owned_by", model.owner}};
}

}  // namespace

std::string AnswerFormat::Whole(std::string_view text, const Finish& finish,
                                const AnswerOutcome& outcome) const {
  Json answer = Head(facts_, /*chunk=*/false);
  const Json reason = std::string(FinishReasonName(finish.reason));
  if (facts_.chat) {
    answer["choices"] = Choice(
        "message", {{"role", "assistant"}, {"content", std::string(text)}, {"refusal", nullptr}},
        reason);
  } else {
    answer["choices"] = Choice("text", std::string(text), reason);
  }
  answer["usage"] = UsageOf(finish, outcome);
  answer["floe"] = FloeOf(facts_, finish, outcome);
  return Dump(answer);
}

std::string AnswerFormat::Opening() const {
  if (!facts_.chat) return "";
  return Dump(Chunk(facts_, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, {}));
}

std::string AnswerFormat::Delta(std::string_view text) {
  if (chunk_head_.empty()) {
    // A stream has one chunk a token: only its text is formatted anew. The mark cannot occur before
    // its place but in `model`, which stands earlier, so the last one counts.
    const std::string mark = "\"\\u0000floe\"";
    const Json place = std::string("\0floe", 5);
    const std::string chunk =
        Dump(Chunk(facts_, facts_.chat ? Json{{"content", place}} : place, {}));
    const size_t at = chunk.rfind(mark);
    chunk_head_ = chunk.substr(0, at);
    chunk_tail_ = chunk.substr(at + mark.size());
  }
  return absl::StrCat(chunk_head_, Dump(std::string(text)), chunk_tail_);
}

std::string AnswerFormat::Closing(const Finish& finish, const AnswerOutcome& outcome) const {
  Json chunk = Chunk(facts_, facts_.chat ? Json::object() : Json(""),
                     std::string(FinishReasonName(finish.reason)));
  chunk["floe"] = FloeOf(facts_, finish, outcome);
  return Dump(chunk);
}

std::string AnswerFormat::Usage(const Finish& finish, const AnswerOutcome& outcome) const {
  Json chunk = Head(facts_, /*chunk=*/true);
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageOf(finish, outcome);
  return Dump(chunk);
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
