#include "trainer/alignment/chat_data.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

using nlohmann::json;

constexpr size_t kMaxLineBytes = 4 << 20;
constexpr size_t kMaxMessages = 1024;
constexpr size_t kMaxChoices = 64;

// What is wrong, in the words of one line.
absl::Status Wrong(std::string_view what) { return absl::InvalidArgumentError(AbslView(what)); }

absl::StatusOr<std::string> Text(const json& value, std::string_view name) {
  if (!value.is_string()) {
    return Wrong(absl::StrCat("\"", AbslView(name), "\" must be a text, not ", value.type_name()));
  }
  const std::string& text = value.get_ref<const std::string&>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Wrong(absl::StrCat("\"", AbslView(name), "\" is empty"));
  }
  return text;
}

absl::StatusOr<const json*> Member(const json& object, const char* name, std::string_view form) {
  const auto found = object.find(name);
  if (found != object.end()) return &*found;
  return Wrong(absl::StrCat("\"", name, "\" is missing; ", AbslView(form)));
}

absl::StatusOr<std::vector<ChatMessage>> Messages(const json& list, std::string_view name) {
  if (!list.is_array() || list.empty() || list.size() > kMaxMessages) {
    return Wrong(absl::StrCat("\"", AbslView(name), "\" must be a list of 1 to ", kMaxMessages,
                              " messages"));
  }
  std::vector<ChatMessage> messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = absl::StrCat(AbslView(name), "[", i, "]");
    if (!list[i].is_object()) return Wrong(absl::StrCat(at, " must be {\"role\", \"content\"}"));
    const char* form = "a message is {\"role\": …, \"content\": …}";
    FLOE_ASSIGN_OR_RETURN(const json* role, Member(list[i], "role", at + ": " + form));
    FLOE_ASSIGN_OR_RETURN(const json* content, Member(list[i], "content", at + ": " + form));
    ChatMessage message;
    FLOE_ASSIGN_OR_RETURN(message.role, Text(*role, at + ".role"));
    FLOE_ASSIGN_OR_RETURN(message.content, Text(*content, at + ".content"));
    if (message.role != "system" && message.role != "user" && message.role != "assistant" &&
        message.role != "tool") {
      return Wrong(absl::StrCat(at, ".role is \"", absl::Utf8SafeCHexEscape(message.role),
                                "\"; known are system, user, assistant, tool"));
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

// A text is what a user says.
absl::StatusOr<std::vector<ChatMessage>> Prompt(const json& value) {
  if (value.is_array()) {
    FLOE_ASSIGN_OR_RETURN(std::vector<ChatMessage> messages, Messages(value, "prompt"));
    if (messages.back().role != tokenizer::kAssistant) return messages;
    return Wrong("\"prompt\" ends with an assistant's message; it must end with the question");
  }
  FLOE_ASSIGN_OR_RETURN(std::string text, Text(value, "prompt"));
  return std::vector<ChatMessage>{{"user", std::move(text)}};
}

// A text, or a list of one assistant's message.
absl::StatusOr<std::string> Answer(const json& value, std::string_view name) {
  if (!value.is_array()) return Text(value, name);
  FLOE_ASSIGN_OR_RETURN(const std::vector<ChatMessage> messages, Messages(value, name));
  if (messages.size() == 1 && messages[0].role == tokenizer::kAssistant) {
    return messages[0].content;
  }
  return Wrong(absl::StrCat("\"", AbslView(name), "\" must be a text or one assistant's message"));
}

absl::StatusOr<ChatExample> ChatOf(const json& object) {
  constexpr std::string_view kForm = "a chat is {\"messages\": [{\"role\": …, \"content\": …}, …]}";
  ChatExample example;
  FLOE_ASSIGN_OR_RETURN(const json* messages, Member(object, "messages", kForm));
  FLOE_ASSIGN_OR_RETURN(example.messages, Messages(*messages, "messages"));
  if (std::none_of(example.messages.begin(), example.messages.end(),
                   [](const ChatMessage& m) { return m.role == tokenizer::kAssistant; })) {
    return Wrong("\"messages\" has no assistant's message, so there is nothing to learn");
  }
  return example;
}

absl::StatusOr<PreferencePair> PreferenceOf(const json& object) {
  constexpr std::string_view kForm =
      "a preference is {\"prompt\": …, \"chosen\": …, \"rejected\": …}";
  PreferencePair pair;
  FLOE_ASSIGN_OR_RETURN(const json* prompt, Member(object, "prompt", kForm));
  FLOE_ASSIGN_OR_RETURN(const json* chosen, Member(object, "chosen", kForm));
  FLOE_ASSIGN_OR_RETURN(const json* rejected, Member(object, "rejected", kForm));
  FLOE_ASSIGN_OR_RETURN(pair.prompt, Prompt(*prompt));
  FLOE_ASSIGN_OR_RETURN(pair.chosen, Answer(*chosen, "chosen"));
  FLOE_ASSIGN_OR_RETURN(pair.rejected, Answer(*rejected, "rejected"));
  if (pair.chosen == pair.rejected) {
    return Wrong("\"chosen\" and \"rejected\" are the same text: there is no preference");
  }
  return pair;
}

absl::StatusOr<ChoiceQuestion> ChoicesOf(const json& object) {
  constexpr std::string_view kForm =
      "a question is {\"prompt\": …, \"choices\": [\"…\", \"…\"], \"answer\": 0}";
  ChoiceQuestion question;
  FLOE_ASSIGN_OR_RETURN(const json* prompt, Member(object, "prompt", kForm));
  FLOE_ASSIGN_OR_RETURN(const json* choices, Member(object, "choices", kForm));
  FLOE_ASSIGN_OR_RETURN(const json* answer, Member(object, "answer", kForm));
  FLOE_ASSIGN_OR_RETURN(question.prompt, Prompt(*prompt));
  if (!choices->is_array() || choices->size() < 2 || choices->size() > kMaxChoices) {
    return Wrong(absl::StrCat("\"choices\" must be a list of 2 to ", kMaxChoices, " texts"));
  }
  for (size_t i = 0; i < choices->size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(std::string text, Text((*choices)[i], absl::StrCat("choices[", i, "]")));
    question.choices.push_back(std::move(text));
  }
  const auto count = static_cast<int64_t>(question.choices.size());
  if (!answer->is_number_integer() || *answer < 0 || *answer >= count) {
    return Wrong(
        absl::StrCat("\"answer\" must be the index of the right choice, 0 to ", count - 1));
  }
  question.answer = answer->get<int64_t>();
  return question;
}

absl::Status AtLine(int64_t line, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("line ", line, ": ", status.message()));
}

template <typename T>
absl::StatusOr<std::vector<T>> ParseLines(std::string_view file,
                                          absl::StatusOr<T> (*read)(const json&)) {
  std::vector<T> examples;
  int64_t number = 1;
  for (size_t begin = 0; begin < file.size(); ++number) {
    const size_t end = std::min(file.find('\n', begin), file.size());
    const std::string_view line = file.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (line.size() > kMaxLineBytes) {
      return AtLine(number, Wrong(absl::StrCat("it has ", line.size(), " bytes; the limit is ",
                                               kMaxLineBytes)));
    }
    const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return AtLine(number, Wrong("it is not a JSON object in UTF-8"));
    absl::StatusOr<T> example = read(object);
    if (!example.ok()) return AtLine(number, example.status());
    example->line = number;
    examples.push_back(*std::move(example));
  }
  if (examples.empty()) return Wrong("the file is empty: it has not one example");
  return examples;
}

template <typename T>
absl::StatusOr<int64_t> SizeOf(const absl::StatusOr<std::vector<T>>& examples) {
  if (!examples.ok()) return examples.status();
  return static_cast<int64_t>(examples->size());
}

}  // namespace

std::optional<ChatFormat> ChatFormatFromName(std::string_view name) {
  if (name == "chat") return ChatFormat::kChat;
  if (name == "preference") return ChatFormat::kPreference;
  if (name == "choices") return ChatFormat::kChoices;
  return std::nullopt;
}

absl::StatusOr<std::vector<ChatExample>> ParseChats(std::string_view file) {
  return ParseLines<ChatExample>(file, ChatOf);
}

absl::StatusOr<std::vector<PreferencePair>> ParsePreferences(std::string_view file) {
  return ParseLines<PreferencePair>(file, PreferenceOf);
}

absl::StatusOr<std::vector<ChoiceQuestion>> ParseChoices(std::string_view file) {
  return ParseLines<ChoiceQuestion>(file, ChoicesOf);
}

absl::StatusOr<int64_t> CountExamples(std::string_view file, ChatFormat format) {
  switch (format) {
    case ChatFormat::kChat:
      return SizeOf(ParseChats(file));
    case ChatFormat::kPreference:
      return SizeOf(ParsePreferences(file));
    case ChatFormat::kChoices:
      return SizeOf(ParseChoices(file));
  }
  return absl::InternalError("no such format");
}

}  // namespace floe::trainer
