#include "gateway/audit/record.h"

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/view.h"
#include "gateway/auth/role.h"

namespace floe::gateway {
namespace {

using Json = nlohmann::ordered_json;

Json FindingsOf(const Request& request) {
  Json list = Json::array();
  for (const GuardFinding& found : request.findings) {
    list.push_back({{"rule", found.finding.rule},
                    {"action", std::string(guardrails::ActionName(found.finding.action))},
                    {"direction", std::string(DirectionName(found.direction))},
                    {"offset", found.finding.offset},
                    {"length", found.finding.length}});
  }
  return list;
}

Json CallsOf(const std::vector<ToolCall>& calls) {
  Json list = Json::array();
  for (const ToolCall& call : calls) {
    list.push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
  }
  return list;
}

// Contents and arguments have passed the rules. They do not look at ids and names, which a client
// chooses too: what they would mask or stop stays out of the record.
Json MessageOf(Message message, const guardrails::RuleSet& rules) {
  const auto guard = [&rules](std::string& text) { text = guardrails::Apply(rules, text).text; };
  guard(message.tool_call_id);
  for (ToolCall& call : message.tool_calls) {
    guard(call.id);
    guard(call.name);
  }
  Json out = {{"role", message.role}, {"content", message.content}};
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  if (!message.tool_calls.empty()) out["tool_calls"] = CallsOf(message.tool_calls);
  return out;
}

Json PromptOf(const Prompt& prompt, const guardrails::RuleSet& rules) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  if (const auto* ids = std::get_if<std::vector<uint32_t>>(&prompt)) return *ids;
  Json messages = Json::array();
  for (const Message& message : std::get<std::vector<Message>>(prompt)) {
    messages.push_back(MessageOf(message, rules));
  }
  return messages;
}

Json AskedOf(const Ask& ask, const guardrails::RuleSet& rules) {
  if (!ask.embedding && ask.prompts.size() == 1) return PromptOf(ask.prompts[0], rules);
  Json prompts = Json::array();
  for (const Prompt& prompt : ask.prompts) prompts.push_back(PromptOf(prompt, rules));
  return prompts;
}

void AddAsked(const Request& request, Json& line) {
  line["model"] = request.ask.model;
  line["model_version"] = request.model.version;
  line["checkpoint"] = request.model.digest;
  line["tokenizer"] = request.model.tokenizer_digest;
  line["service_tier"] = std::string(TierName(request.ask.tier));
  line["stream"] = request.ask.stream;
  line["max_tokens"] = request.max_tokens;
}

// Which passages the model was given.
Json RetrievalOf(const Request& request) {
  if (!request.retrieved) return nullptr;
  Json passages = Json::array();
  for (const Retrieved::Citation& citation : request.retrieved->citations) {
    passages.push_back(
        {{"document", citation.document}, {"begin", citation.begin}, {"end", citation.end}});
  }
  return {{"collection", request.retrieved->collection}, {"passages", std::move(passages)}};
}

void AddGiven(const Request& request, Json& line) {
  const std::optional<Finish>& finish = request.finish;
  line["prompt_tokens"] =
      finish ? finish->prompt_tokens : static_cast<int64_t>(request.prompt_ids.size());
  line["completion_tokens"] = finish ? finish->completion_tokens : request.arrived_tokens;
  line["finish_reason"] = finish ? Json(std::string(FinishReasonName(finish->reason))) : Json();
  line["service_tier_met"] = finish && !finish->tier_met.empty() ? Json(finish->tier_met) : Json();
  line["cache"] = std::string(CacheUseName(request.cache));
}

// What was said: in and out as the rules let it pass.
void AddTexts(const Request& request, Json& line) {
  line["prompt"] = request.input_guarded ? AskedOf(request.ask, request.rules->input) : Json();
  const std::string& tools = request.ask.tools.json;
  if (request.input_guarded && !tools.empty()) {
    line["tools"] = Json::parse(tools, nullptr, /*allow_exceptions=*/false);
  }
  const std::vector<std::string>& texts = request.answer_texts;
  line["answer"] = texts.size() > 1 ? Json(texts) : Json(texts.empty() ? "" : texts[0]);
  if (tools.empty()) return;
  Json calls = Json::array();
  for (const std::vector<ToolCall>& answer : request.answer_calls) calls.push_back(CallsOf(answer));
  line["answer_calls"] = calls.size() == 1 ? Json(calls[0]) : calls;
}

}  // namespace

std::string AuditLine(const Request& request, const AuditOutcome& outcome) {
  Json line;
  line["ts"] = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", outcome.ended, absl::UTCTimeZone());
  line["log"] = "audit";
  line["service"] = "gateway";
  line["request_id"] = request.id;
  line["trace_id"] = request.trace_id;
  line["what"] = request.what;
  line["status"] = outcome.status;
  line["code"] = std::string(outcome.code);
  line["tenant"] = request.scope.caller.tenant;
  line["team"] = request.scope.caller.team;
  line["key_id"] = request.scope.caller.key_id;
  line["policy"] = request.policy != nullptr ? request.policy->digest() : "";
  line["policy_version"] = request.policy != nullptr ? request.policy->version() : "";
  AddAsked(request, line);
  AddGiven(request, line);
  line["retrieval"] = RetrievalOf(request);
  line["findings"] = FindingsOf(request);
  line["seconds"] = absl::ToDoubleSeconds(outcome.took);
  Json& stages = line["stage_seconds"] = Json::object();
  for (const StageTime& time : request.times) {
    stages[std::string(time.stage)] = absl::ToDoubleSeconds(time.took);
  }
  if (request.rules != nullptr && request.rules->audit_text) AddTexts(request, line);
  // What came from outside may be no UTF-8.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace floe::gateway
