// Data to align and to evaluate with, as JSON Lines: one object a line, other members ignored.
//
//   chat         {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", …}]}
//   preference   {"prompt": "…", "chosen": "…", "rejected": "…"}
//   choices      {"prompt": "…", "choices": ["…", "…"], "answer": 0}
//
// A prompt is a text (what a user says) or a list of messages; chosen and rejected are texts or a
// list of one assistant's message. Files come from anyone: every mistake is named with its line.
// Pure, thread-safe; no torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/chat_template.h"

namespace floe::trainer {

using tokenizer::ChatMessage;

// The registry's names of these formats: "chat", "preference", "choices".
enum class ChatFormat { kChat, kPreference, kChoices };
std::optional<ChatFormat> ChatFormatFromName(std::string_view name);

struct ChatExample {
  std::vector<ChatMessage> messages;  // at least one of an assistant
  int64_t line = 0;                   // in the file, from 1
};

struct PreferencePair {
  std::vector<ChatMessage> prompt;
  std::string chosen;
  std::string rejected;  // another text than chosen
  int64_t line = 0;
};

struct ChoiceQuestion {
  std::vector<ChatMessage> prompt;
  std::vector<std::string> choices;  // 2 to 64
  int64_t answer = 0;                // index of the right one
  int64_t line = 0;
};

// INVALID_ARGUMENT: "line 7: \"rejected\" is missing; a preference is …". Blank lines are passed
// over; a file without a single example is refused.
absl::StatusOr<std::vector<ChatExample>> ParseChats(std::string_view file);
absl::StatusOr<std::vector<PreferencePair>> ParsePreferences(std::string_view file);
absl::StatusOr<std::vector<ChoiceQuestion>> ParseChoices(std::string_view file);

// How many examples the file holds, after parsing all of it.
absl::StatusOr<int64_t> CountExamples(std::string_view file, ChatFormat format);

}  // namespace floe::trainer
