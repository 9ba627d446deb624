#include "gateway/stages/guard_input.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "gateway/background.h"
#include "gateway/openai/tool_calls.h"

namespace floe::gateway {
namespace {

using guardrails::Action;
using guardrails::RuleSet;

size_t SizeOf(const Prompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return text->size();
  size_t size = 0;
  if (const auto* messages = std::get_if<std::vector<Message>>(&prompt)) {
    for (const Message& message : *messages) {
      size += message.content.size();
      for (const ToolCall& call : message.tool_calls) size += call.arguments.size();
    }
  }
  return size;
}

// Guards one text in place; whether it may pass.
bool GuardText(const RuleSet& rules, std::string param, std::string& text, GuardedPrompt& out) {
  guardrails::Verdict verdict = guardrails::Apply(rules, text);
  out.findings.insert(out.findings.end(), verdict.findings.begin(), verdict.findings.end());
  if (verdict.blocked) {
    out.blocked_by = verdict.findings.back().rule;
    out.param = std::move(param);
    return false;
  }
  text = std::move(verdict.text);
  return true;
}

absl::Status Blocked(const GuardedPrompt& guarded) {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat("your team's policy blocks this request: its rule \"",
                                              guarded.blocked_by, "\" matches ", guarded.param)),
      "CONTENT_BLOCKED", {{"param", guarded.param}, {"rule", guarded.blocked_by}});
}

// Guards what is not rewritten, ids by what they say and JSON: a mask refuses it.
bool GuardFixed(const RuleSet& rules, const std::string& param, std::string text,
                GuardedPrompt& out) {
  const size_t before = out.findings.size();
  if (!GuardText(rules, param, text, out)) return false;
  for (size_t i = before; i < out.findings.size(); ++i) {
    if (out.findings[i].action != Action::kMask) continue;
    out.blocked_by = out.findings[i].rule;
    out.param = param;
    return false;
  }
  return true;
}

bool GuardMessage(const RuleSet& rules, const std::string& path, Message& message,
                  GuardedPrompt& out) {
  if (!GuardText(rules, path + ".content", message.content, out)) return false;
  for (size_t i = 0; i < message.tool_calls.size(); ++i) {
    if (!GuardFixed(rules, absl::StrCat(path, ".tool_calls[", i, "].function.arguments"),
                    openai::WithoutEscapes(message.tool_calls[i].arguments), out)) {
      return false;
    }
  }
  return true;
}

}  // namespace

GuardedPrompt GuardPrompt(const RuleSet& rules, Prompt prompt, const std::string& tools,
                          const std::string& param) {
  GuardedPrompt out;
  out.prompt = std::move(prompt);
  if (auto* text = std::get_if<std::string>(&out.prompt)) {
    GuardText(rules, param, *text, out);
  } else if (auto* messages = std::get_if<std::vector<Message>>(&out.prompt)) {
    for (size_t i = 0; i < messages->size(); ++i) {
      if (!GuardMessage(rules, absl::StrCat("messages[", i, "]"), (*messages)[i], out)) return out;
    }
  }
  if (!tools.empty()) GuardFixed(rules, "tools", tools, out);
  return out;
}

Awaitable<absl::Status> GuardInputStage::Guard(Request& request, size_t index) {
  const RuleSet& rules = request.rules->input;
  Prompt& prompt = request.ask.prompts[index];
  const std::string param = PromptName(request.ask, index);
  GuardedPrompt guarded;
  if (auto* ids = std::get_if<std::vector<uint32_t>>(&prompt)) {
    absl::StatusOr<std::string> text = co_await prompts_.Decode(request.scope, request.model, *ids);
    if (!text.ok()) co_return AboutPrompt(text.status(), request.ask, index);
    GuardFixed(rules, param, *std::move(text), guarded);
    guarded.prompt = std::move(*ids);
  } else {
    const std::string& tools = request.ask.tools.json;
    const size_t bytes = SizeOf(prompt) + tools.size();
    auto work = [&rules, &tools, param, prompt = std::move(prompt)]() mutable {
      return GuardPrompt(rules, std::move(prompt), tools, param);
    };
    guarded = co_await WorkOver(bytes, background_, std::move(work));
  }
  prompt = std::move(guarded.prompt);
  for (guardrails::Finding& finding : guarded.findings) {
    request.findings.push_back({Direction::kInput, std::move(finding)});
  }
  co_return guarded.blocked_by.empty() ? absl::OkStatus() : Blocked(guarded);
}

Awaitable<absl::Status> GuardInputStage::GuardAll(Request& request) {
  if (request.rules->input.empty()) co_return absl::OkStatus();
  for (size_t i = 0; i < request.ask.prompts.size(); ++i) {
    const absl::Status passed = co_await Guard(request, i);
    if (!passed.ok()) co_return passed;
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> GuardInputStage::Enter(Request& request) {
  const absl::Status passed = co_await GuardAll(request);
  request.input_guarded = passed.ok();
  if (!passed.ok() || !request.ask.echo) co_return passed;
  // Before passages are put in front of it: an answer begins with what the client wrote.
  for (size_t i = 0; i < request.ask.prompts.size(); ++i) {
    std::string& echo = request.echoes.emplace_back();
    if (const auto* text = std::get_if<std::string>(&request.ask.prompts[i])) {
      echo = *text;
    } else if (const auto* ids = std::get_if<std::vector<uint32_t>>(&request.ask.prompts[i])) {
      absl::StatusOr<std::string> said =
          co_await prompts_.Decode(request.scope, request.model, *ids);
      if (!said.ok()) co_return AboutPrompt(said.status(), request.ask, i);
      echo = *std::move(said);
    }
  }
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
