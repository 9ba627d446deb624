// ChatML: how a list of messages becomes the ids that a chat model was trained on.
//
//   <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n
//
// The frame is written by the program and takes special ids; roles and contents come from outside
// and are encoded as ordinary text, so no message can open or close another. Pure, thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/tokenizer.h"

namespace floe::tokenizer {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kMessageStart = "<|im_start|>";
inline constexpr std::string_view kMessageEnd = "<|im_end|>";
inline constexpr std::string_view kAssistant = "assistant";

struct ChatMessage {
  std::string role;     // 1 to 64 of [a-z0-9_-]: system, user, assistant, tool
  std::string content;  // any text
};

struct ChatTemplateOptions {
  // Ends with the opening of an assistant's message, for the model to go on.
  bool add_generation_prompt = true;
};

// FAILED_PRECONDITION when the tokenizer lacks <|im_start|> or <|im_end|>; INVALID_ARGUMENT names
// the message whose role is not allowed.
absl::StatusOr<std::vector<TokenId>> RenderChat(const Tokenizer& tokenizer,
                                                std::span<const ChatMessage> messages,
                                                ChatTemplateOptions options = {});

// Which assistant's messages are learnt from.
enum class Answers { kAll, kLast };

// Ids to learn from, beside each whether it belongs to an answer: what the assistant wrote, and the
// <|im_end|> that ends it. Neither the frame nor the line break behind a message is one.
struct MaskedChat {
  std::vector<TokenId> ids;
  std::vector<bool> answer;
};

// `messages` as RenderChat gives them without the opening of another one, except that an answer is
// encoded apart from the opening before it: those are the ids that follow RenderChat's generation
// prompt when the model writes it. Errors as RenderChat.
absl::StatusOr<MaskedChat> RenderChatForTraining(const Tokenizer& tokenizer,
                                                 std::span<const ChatMessage> messages,
                                                 Answers answers);

// SHA-256 of the template, which names it where results must say how texts were put together.
std::string ChatTemplateDigest();

struct TokenizerConfigOptions {
  std::string_view eos_token = kMessageEnd;  // kEndOfText for a base model
  std::string_view pad_token = kEndOfText;
  int model_max_length = 0;  // the model's context; 0 leaves it out
};

// The text of the tokenizer_config.json that stands beside tokenizer.json in a checkpoint, with the
// same template in Jinja.
std::string TokenizerConfigJson(const Tokenizer& tokenizer, TokenizerConfigOptions options = {});

}  // namespace floe::tokenizer
