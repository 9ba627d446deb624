// The built-in template, and the file that carries it in Jinja to other programs.
#include "tokenizer/chatml.h"

#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::tokenizer {
namespace {

bool IsRole(std::string_view role) {
  return !role.empty() && role.size() <= 64 && std::all_of(role.begin(), role.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

absl::Status CheckRole(const ChatMessage& message, size_t index) {
  if (IsRole(message.role)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("messages[", index, "].role is \"", absl::CHexEscape(message.role),
                   "\"; a role is 1 to 64 of a-z, 0-9, _ and -, such as user"));
}

namespace {

constexpr std::string_view kOpening = "assistant\n";

// The ids around a message.
struct Frame {
  TokenId start = 0;
  TokenId end = 0;

  static absl::StatusOr<Frame> Of(const Tokenizer& tokenizer) {
    const std::optional<TokenId> start = tokenizer.SpecialId(kMessageStart);
    const std::optional<TokenId> end = tokenizer.SpecialId(kMessageEnd);
    if (start && end) return Frame{*start, *end};
    return absl::FailedPreconditionError(
        absl::StrCat("the tokenizer has no ", AbslView(start ? kMessageEnd : kMessageStart),
                     ", so it cannot render ChatML; use plain completions, or train it with that "
                     "special token"));
  }
};

}  // namespace

absl::StatusOr<std::vector<TokenId>> RenderChat(const Tokenizer& tokenizer,
                                                std::span<const ChatMessage> messages,
                                                ChatTemplateOptions options) {
  FLOE_ASSIGN_OR_RETURN(const Frame frame, Frame::Of(tokenizer));
  std::vector<TokenId> ids;
  for (size_t i = 0; i < messages.size(); ++i) {
    FLOE_RETURN_IF_ERROR(CheckRole(messages[i], i));
    ids.push_back(frame.start);
    // One text, as the template puts it between two special tokens.
    tokenizer.EncodeTo(absl::StrCat(messages[i].role, "\n", messages[i].content), ids);
    ids.push_back(frame.end);
    tokenizer.EncodeTo("\n", ids);
  }
  if (options.add_generation_prompt) {
    ids.push_back(frame.start);
    tokenizer.EncodeTo(kOpening, ids);
  }
  return ids;
}

absl::StatusOr<MaskedChat> RenderChatForTraining(const Tokenizer& tokenizer,
                                                 std::span<const ChatMessage> messages,
                                                 Answers answers) {
  FLOE_ASSIGN_OR_RETURN(const Frame frame, Frame::Of(tokenizer));
  MaskedChat chat;
  const auto mark = [&](bool answer) { chat.answer.resize(chat.ids.size(), answer); };
  for (size_t i = 0; i < messages.size(); ++i) {
    FLOE_RETURN_IF_ERROR(CheckRole(messages[i], i));
    chat.ids.push_back(frame.start);
    if (messages[i].role == kAssistant) {
      tokenizer.EncodeTo(kOpening, chat.ids);
      mark(false);
      tokenizer.EncodeTo(messages[i].content, chat.ids);
    } else {
      tokenizer.EncodeTo(absl::StrCat(messages[i].role, "\n", messages[i].content), chat.ids);
    }
    chat.ids.push_back(frame.end);
    mark(messages[i].role == kAssistant && (answers == Answers::kAll || i + 1 == messages.size()));
    tokenizer.EncodeTo("\n", chat.ids);
    mark(false);
  }
  return chat;
}

std::string TokenizerConfigJson(const Tokenizer& tokenizer, TokenizerConfigOptions options) {
  nlohmann::ordered_json config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["add_bos_token"] = false;
  config["add_prefix_space"] = false;
  config["bos_token"] = nullptr;
  const auto token_or_null = [&](std::string_view content) -> nlohmann::ordered_json {
    if (!tokenizer.SpecialId(content)) return nullptr;
    return std::string(content);
  };
  config["eos_token"] = token_or_null(options.eos_token);
  config["pad_token"] = token_or_null(options.pad_token);
  config["unk_token"] = nullptr;
  config["clean_up_tokenization_spaces"] = false;
  config["split_special_tokens"] = false;
  if (options.model_max_length > 0) config["model_max_length"] = options.model_max_length;
  auto added = nlohmann::ordered_json::object();
  for (const AddedToken& token : tokenizer.vocabulary().added) {
    added[absl::StrCat(token.id)] = {
        {"content", token.content},         {"lstrip", token.lstrip},
        {"normalized", token.normalized},   {"rstrip", token.rstrip},
        {"single_word", token.single_word}, {"special", token.special}};
  }
  config["added_tokens_decoder"] = std::move(added);
  if (tokenizer.SpecialId(kMessageStart) && tokenizer.SpecialId(kMessageEnd)) {
    config["chat_template"] = std::string(kChatMlJinja);
  }
  return config.dump(2) + "\n";
}

}  // namespace floe::tokenizer
