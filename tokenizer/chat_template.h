// How a list of messages becomes the ids that a chat model was trained on: by the template in the
// model's own tokenizer_config.json, or by ChatML where it has none:
//
//   <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n
//
// One rule holds for all templates: an added token, such as <|im_end|>, is recognised only where
// every byte of it was written by the template (or is a token that the model's files name). Roles
// and contents come from outside and are ordinary text whatever they spell, so no message can open
// or close another. Ordinary text of both kinds that stands side by side is encoded as one text.
//
// All of it is pure and thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tokenizer/tokenizer.h"

namespace floe::tokenizer {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kMessageStart = "<|im_start|>";
inline constexpr std::string_view kMessageEnd = "<|im_end|>";
inline constexpr std::string_view kAssistant = "assistant";

// A call that an assistant made.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // a JSON object
  bool operator==(const ToolCall&) const = default;
};

struct ChatMessage {
  std::string role;                       // 1 to 64 of [a-z0-9_-]: system, user, assistant, tool
  std::string content;                    // any text
  std::vector<ToolCall> tool_calls = {};  // of an assistant's message
  std::string tool_call_id = {};          // of a tool's: the call that it answers
};

// How a template has the model write a call.
enum class ToolFormat {
  kNone,    // it knows no tools
  kTagged,  // <tool_call>{"name": ..., "arguments": {...}}</tool_call>, among text: Qwen, Hermes
  kBare,    // {"name": ..., "parameters": {...}} and nothing else: Llama 3
};

struct ChatTemplateOptions {
  // Ends with the opening of an assistant's message, for the model to go on.
  bool add_generation_prompt = true;
  // What a template that writes the date takes for now, in UTC. Without it strftime_now is
  // undefined, and such templates write the date that they have for that case.
  std::optional<absl::Time> now;
  // What the model may call: a JSON array of objects as OpenAI's API has them; empty: nothing.
  std::string tools = {};
};

// Which assistant's messages are learnt from.
enum class Answers { kAll, kLast };

// Ids to learn from, beside each whether it belongs to an answer: what the assistant wrote, and the
// token that ends it. Neither the frame nor the line break behind a message is one.
struct MaskedChat {
  std::vector<TokenId> ids;
  std::vector<bool> answer;
};

// Immutable and thread-safe; copies share the template.
class ChatTemplate {
 public:
  // ChatML.
  ChatTemplate();
  // The template of a tokenizer_config.json; ChatML when it has none. Of several it is the one
  // named "default". INVALID_ARGUMENT for what is no such file (or has
  // a member twice, or nests deeper than 64 levels), and for a template outside the
  // subset (jinja/template.h), by name and line.
  static absl::StatusOr<ChatTemplate> FromConfig(std::string_view tokenizer_config_json);

  // FAILED_PRECONDITION when ChatML meets a tokenizer without <|im_start|> or <|im_end|>, or tools
  // (or calls of them) a template that knows none;
  // INVALID_ARGUMENT names the message whose role is not allowed, or says why the template refuses
  // the messages; RESOURCE_EXHAUSTED when it does too much work on them.
  absl::StatusOr<std::vector<TokenId>> Render(const Tokenizer& tokenizer,
                                              std::span<const ChatMessage> messages,
                                              ChatTemplateOptions options = {}) const;
  // `messages` as Render gives them without the opening of another one, except that an answer is
  // encoded apart from what is around it: those are the ids that follow Render's generation prompt
  // when the model writes it. Other templates than ChatML must say with {% generation %} what the
  // assistant writes: FAILED_PRECONDITION. Else errors as Render.
  absl::StatusOr<MaskedChat> RenderForTraining(const Tokenizer& tokenizer,
                                               std::span<const ChatMessage> messages,
                                               Answers answers) const;

  // By what stands in the template.
  ToolFormat tool_format() const;

  // SHA-256 of the template, which names it where results must say how texts were put together.
  const std::string& digest() const { return digest_; }

 private:
  struct Own;
  std::shared_ptr<const Own> own_;  // null: ChatML; shared by copies
  std::string digest_;
};

// ChatML by name, for models made here.
absl::StatusOr<std::vector<TokenId>> RenderChat(const Tokenizer& tokenizer,
                                                std::span<const ChatMessage> messages,
                                                ChatTemplateOptions options = {});
absl::StatusOr<MaskedChat> RenderChatForTraining(const Tokenizer& tokenizer,
                                                 std::span<const ChatMessage> messages,
                                                 Answers answers);

struct TokenizerConfigOptions {
  std::string_view eos_token = kMessageEnd;  // kEndOfText for a base model
  std::string_view pad_token = kEndOfText;
  int model_max_length = 0;  // the model's context; 0 leaves it out
};

// The text of the tokenizer_config.json that stands beside tokenizer.json in a checkpoint, with
// ChatML in Jinja.
std::string TokenizerConfigJson(const Tokenizer& tokenizer, TokenizerConfigOptions options = {});

}  // namespace floe::tokenizer
