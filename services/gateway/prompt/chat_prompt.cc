#include "services/gateway/prompt/chat_prompt.h"

#include <string_view>

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

constexpr std::string_view kCallBegins = "<tool_call>\n";

tokenizer::ChatMessage AsTemplatesHaveIt(const Message& message) {
  tokenizer::ChatMessage chat{message.role, message.content};
  chat.tool_call_id = message.tool_call_id;
  for (const ToolCall& call : message.tool_calls) {
    chat.tool_calls.push_back({call.id, call.name, call.arguments});
  }
  return chat;
}

ToolFormat FormatOf(tokenizer::ToolFormat format) {
  switch (format) {
    case tokenizer::ToolFormat::kTagged:
      return ToolFormat::kTagged;
    case tokenizer::ToolFormat::kBare:
      return ToolFormat::kBare;
    case tokenizer::ToolFormat::kNone:
      break;
  }
  return ToolFormat::kNone;
}

void Append(const std::vector<tokenizer::TokenId>& from, std::vector<uint32_t>& ids) {
  ids.insert(ids.end(), from.begin(), from.end());
}

}  // namespace

absl::StatusOr<EncodedPrompt> EncodeChat(const tokenizer::Tokenizer& tokenizer,
                                         const tokenizer::ChatTemplate& chat_template,
                                         const std::vector<Message>& messages, const ToolAsk& tools,
                                         absl::Time now) {
  std::vector<tokenizer::ChatMessage> chat;
  chat.reserve(messages.size());
  for (const Message& message : messages) chat.push_back(AsTemplatesHaveIt(message));
  const bool offered = tools.offered();
  const auto rendered =
      chat_template.Render(tokenizer, chat, {.now = now, .tools = offered ? tools.json : ""});
  if (!rendered.ok()) {
    const bool unknown = chat_template.tool_format() == tokenizer::ToolFormat::kNone;
    return WithReason(
        rendered.status(),
        absl::IsFailedPrecondition(rendered.status()) ? "CHAT_NOT_SUPPORTED" : "INVALID_VALUE",
        {{"param", offered && unknown ? "tools" : "messages"}});
  }
  EncodedPrompt prompt{{}, FormatOf(chat_template.tool_format())};
  Append(*rendered, prompt.ids);
  if (tools.choice == ToolAsk::Choice::kRequired && prompt.tool_format == ToolFormat::kTagged) {
    Append(tokenizer.EncodeWithSpecials(kCallBegins), prompt.ids);
  }
  return prompt;
}

}  // namespace floe::gateway
