#include "gateway/openai/prompt.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/openai/parse.h"
#include "gateway/openai/tools.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;

constexpr size_t kMaxCallIdBytes = 128;

absl::Status WrongType(const std::string& path, const json& value, std::string_view wanted) {
  return FieldError(
      path, "INVALID_TYPE",
      absl::StrCat(path, " is ", AbslView(TypeName(value)), "; write ", AbslView(wanted)));
}

absl::StatusOr<std::string> ReadParts(FieldReader& message, const json& parts,
                                      const std::string& path) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = absl::StrCat(path, "[", i, "]");
    if (!parts[i].is_object()) return WrongType(part_path, parts[i], "an object");
    FieldReader part(parts[i], part_path);
    const auto type = part.String("type", 64);
    if (!part.failed() && type != "text") {
      part.Fail("type", "UNSUPPORTED_PARAMETER", "must be text: models here read nothing but text");
    }
    const auto piece = part.String("text", std::numeric_limits<size_t>::max());
    if (!piece) part.Fail("text", "MISSING_REQUIRED_PARAMETER", "is missing; write a string");
    message.AdoptElement(part);
    if (message.failed()) return std::string();  // it is recorded
    text += *piece;
  }
  return text;
}

// What an assistant called, as an answer says it.
void ReadCalls(FieldReader& message, std::vector<ToolCall>& calls) {
  const json* list = message.Take("tool_calls");
  if (list == nullptr) return;
  if (!list->is_array() || list->size() > kMaxTools) {
    message.Fail("tool_calls", "INVALID_TYPE",
                 absl::StrCat("must be an array of at most ", kMaxTools, " calls"));
    return;
  }
  for (size_t i = 0; i < list->size() && !message.failed(); ++i) {
    const std::string path = absl::StrCat(message.PathOf("tool_calls"), "[", i, "]");
    const json& value = (*list)[i];
    const auto function = value.is_object() ? value.find("function") : value.end();
    if (function == value.end() || !function->is_object()) {
      message.Fail(
          FieldError(path, "INVALID_TYPE",
                     path + " must be {\"id\", \"type\", \"function\": {name, arguments}}"));
      return;
    }
    FieldReader outer(value, path);
    outer.Ignore("type");
    outer.Ignore("index");
    outer.Ignore("function");
    FieldReader inner(*function, outer.PathOf("function"));
    ToolCall call{outer.String("id", kMaxCallIdBytes).value_or(""),
                  inner.String("name", kMaxToolNameBytes).value_or(""),
                  inner.String("arguments", kMaxToolBytes).value_or("{}")};
    if (call.name.empty()) inner.Fail("name", "MISSING_REQUIRED_PARAMETER", "is missing");
    if (NestsTooDeep(call.arguments) ||
        !json::parse(call.arguments, nullptr, /*allow_exceptions=*/false).is_object()) {
      inner.Fail("arguments", "INVALID_VALUE", "must be a JSON object, as a string");
    }
    calls.push_back(std::move(call));
    outer.AdoptElement(inner);
    message.AdoptElement(outer);
  }
}

absl::StatusOr<std::string> ReadContent(FieldReader& message, bool may_lack) {
  const json* content = message.Take("content");
  const std::string path = message.PathOf("content");
  if (content == nullptr && may_lack) return std::string();
  if (content == nullptr) {
    message.Fail("content", "MISSING_REQUIRED_PARAMETER", "is missing; write a string");
    return std::string();
  }
  if (content->is_string()) return content->get<std::string>();
  if (content->is_array()) return ReadParts(message, *content, path);
  return WrongType(path, *content, "a string or an array of text parts");
}

absl::StatusOr<Message> ReadMessage(FieldReader& body, const json& value, const std::string& path) {
  if (!value.is_object()) {
    return WrongType(path, value, "an object {\"role\": …, \"content\": …}");
  }
  FieldReader fields(value, path);
  std::string role = fields.String("role", 64).value_or("");
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
    fields.Fail("role", role.empty() ? "MISSING_REQUIRED_PARAMETER" : "INVALID_VALUE",
                "must be system, developer, user, assistant or tool");
  }
  Message message;
  if (role == "assistant") {
    ReadCalls(fields, message.tool_calls);
  } else {
    fields.Unsupported("tool_calls", json::array());
  }
  if (role == "tool") {
    message.tool_call_id = fields.String("tool_call_id", kMaxCallIdBytes).value_or("");
    if (message.tool_call_id.empty()) {
      fields.Fail("tool_call_id", "MISSING_REQUIRED_PARAMETER",
                  "is missing; write the id of the call that this answers");
    }
  } else {
    fields.Unsupported("tool_call_id", nullptr);
  }
  auto content = ReadContent(fields, /*may_lack=*/!message.tool_calls.empty());
  fields.Fail(content.status());
  // An answer sent back carries these, empty.
  fields.Unsupported("name", nullptr);
  fields.Unsupported("function_call", nullptr);
  fields.Unsupported("audio", nullptr);
  fields.Ignore("refusal");
  fields.Ignore("annotations");
  body.AdoptElement(fields);
  if (body.failed()) return Message{};  // it is recorded
  message.role = std::move(role);
  message.content = *std::move(content);
  return message;
}

absl::StatusOr<std::vector<uint32_t>> ReadIds(const json& list, const std::string& path) {
  std::vector<uint32_t> ids;
  ids.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const json& id = list[i];
    if (!id.is_number_unsigned() || id.get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
      return FieldError(path, "INVALID_VALUE",
                        absl::StrCat(path, "[", i, "] must be a token id, a non-negative integer"));
    }
    ids.push_back(id.get<uint32_t>());
  }
  return ids;
}

}  // namespace

absl::Status ReadMessages(FieldReader& body, std::vector<Prompt>& prompts) {
  const json* list = body.Take("messages");
  if (body.failed()) return absl::OkStatus();  // the first mistake is already recorded
  if (list == nullptr) {
    return FieldError("messages", "MISSING_REQUIRED_PARAMETER",
                      "messages is missing; send [{\"role\": \"user\", \"content\": \"…\"}]");
  }
  if (!list->is_array()) return WrongType("messages", *list, "an array of messages");
  if (list->empty() || list->size() > kMaxMessages) {
    return FieldError(
        "messages", "INVALID_VALUE",
        absl::StrCat("messages has ", list->size(), " entries; send 1 to ", kMaxMessages));
  }
  std::vector<Message> messages;
  messages.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(messages.emplace_back(),
                          ReadMessage(body, (*list)[i], absl::StrCat("messages[", i, "]")));
    if (body.failed()) break;
  }
  prompts = {std::move(messages)};
  return absl::OkStatus();
}

absl::Status ReadTexts(FieldReader& body, const std::string& field, size_t most,
                       std::vector<Prompt>& prompts) {
  const json* value = body.Take(field);
  if (body.failed()) return absl::OkStatus();
  if (value == nullptr) {
    return FieldError(field, "MISSING_REQUIRED_PARAMETER",
                      field + " is missing; send a text, an array of texts, or token ids");
  }
  if (!value->is_string() && !value->is_array()) {
    return WrongType(field, *value, "a string, an array of strings, or token ids");
  }
  const bool one = value->is_string() || (!value->empty() && (*value)[0].is_number());
  const json list = one ? json::array({*value}) : *value;
  if (list.empty() || list.size() > most) {
    return FieldError(field, "INVALID_VALUE",
                      absl::StrCat(field, " has ", list.size(), " entries; send 1 to ", most));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = one ? field : absl::StrCat(field, "[", i, "]");
    if (list[i].is_string()) {
      prompts.emplace_back(list[i].get<std::string>());
    } else if (list[i].is_array()) {
      FLOE_ASSIGN_OR_RETURN(prompts.emplace_back(), ReadIds(list[i], path));
    } else {
      return WrongType(path, list[i], "a string or an array of token ids");
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::gateway::openai
