#include "services/gateway/clients/tokenizer_prompts.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/gateway/clients/handoff.h"
#include "services/gateway/clients/unary_call.h"
#include "services/gateway/prompt/chat_prompt.h"

namespace floe::gateway {
namespace {

constexpr absl::Duration kFetchTime = absl::Seconds(30);
// Encoding this much takes about a millisecond.
constexpr size_t kInlineBytes = 8 << 10;

using Ids = std::vector<uint32_t>;

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

absl::StatusOr<Ids> CheckIds(const tokenizer::Tokenizer& tokenizer, const Ids& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < static_cast<uint32_t>(tokenizer.vocab_size())) continue;
    return WithReason(absl::InvalidArgumentError(absl::StrCat("the id at index ", i, " is ", ids[i],
                                                              "; this model's vocabulary ends at ",
                                                              tokenizer.vocab_size() - 1)),
                      "INVALID_VALUE", {{"param", "prompt"}});
  }
  return ids;
}

}  // namespace

absl::StatusOr<EncodedPrompt> EncodePrompt(const ModelText& text, const Prompt& prompt,
                                           const ToolAsk& tools, absl::Time now) {
  if (const auto* messages = std::get_if<std::vector<Message>>(&prompt)) {
    if (text.chat.ok()) return EncodeChat(*text.tokenizer, *text.chat, *messages, tools, now);
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("the model's chat template cannot be rendered here: ",
                                       text.chat.status().message(), "; use completions")),
                      "CHAT_NOT_SUPPORTED", {{"param", "messages"}});
  }
  if (const auto* ids = std::get_if<Ids>(&prompt)) {
    FLOE_ASSIGN_OR_RETURN(Ids checked, CheckIds(*text.tokenizer, *ids));
    return EncodedPrompt{std::move(checked)};
  }
  const auto ids = text.tokenizer->Encode(std::get<std::string>(prompt));
  return EncodedPrompt{Ids(ids.begin(), ids.end())};
}

Awaitable<absl::StatusOr<std::string>> TokenizerPrompts::Decode(const CallScope& scope,
                                                                const ResolvedModel& model,
                                                                const Ids& ids) {
  auto work = [this, call = OutgoingFor(scope, kFetchTime), model = model,
               ids = ids]() -> absl::StatusOr<std::string> {
    auto text = tokenizers_.Find(model);
    if (text == nullptr) {
      FLOE_ASSIGN_OR_RETURN(text, tokenizers_.Load(call, model));
    }
    FLOE_RETURN_IF_ERROR(CheckIds(*text->tokenizer, ids).status());
    const std::vector<tokenizer::TokenId> own(ids.begin(), ids.end());
    return text->tokenizer->Decode(own);
  };
  co_return co_await RunOn(pool_, std::move(work));
}

Awaitable<absl::StatusOr<EncodedPrompt>> TokenizerPrompts::Encode(const CallScope& scope,
                                                                  const ResolvedModel& model,
                                                                  const Prompt& prompt,
                                                                  const ToolAsk& tools) {
  auto here = tokenizers_.Find(model);
  if (here != nullptr && SizeOf(prompt) + tools.json.size() <= kInlineBytes) {
    co_return EncodePrompt(*here, prompt, tools, clock_.Now());
  }
  auto work = [this, here = std::move(here), call = OutgoingFor(scope, kFetchTime), model = model,
               prompt = prompt, tools = tools]() -> absl::StatusOr<EncodedPrompt> {
    if (here != nullptr) return EncodePrompt(*here, prompt, tools, clock_.Now());
    FLOE_ASSIGN_OR_RETURN(const auto loaded, tokenizers_.Load(call, model));
    return EncodePrompt(*loaded, prompt, tools, clock_.Now());
  };
  co_return co_await RunOn(pool_, std::move(work));
}

}  // namespace floe::gateway
