#include "tokenizer/chat_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/json/strict_json.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/chatml.h"
#include "tokenizer/jinja/json_value.h"
#include "tokenizer/jinja/template.h"

namespace floe::tokenizer {

using jinja::Origin;
using jinja::Text;
using jinja::Value;
using Json = nlohmann::json;

struct ChatTemplate::Own {
  jinja::Template jinja;
  std::map<std::string, Value, std::less<>> tokens;  // bos_token, eos_token, …
  ToolFormat tool_format = ToolFormat::kNone;
};

namespace {

constexpr std::array<std::string_view, 7> kTokenNames = {
    "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};

absl::Status NoConfig(std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer_config.json cannot be used: ", AbslView(why)));
}

// A token is its text, or an object that has it as its content.
std::optional<std::string> TokenText(const Json& config, std::string_view name) {
  const auto found = config.find(std::string(name));
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object() || !found->contains("content") || !(*found)["content"].is_string()) {
    return std::nullopt;
  }
  return (*found)["content"].get<std::string>();
}

// The source of the template; nullopt when there is none.
absl::StatusOr<std::optional<std::string>> SourceOf(const Json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array()) {
    for (const Json& one : *found) {
      if (one.is_object() && one.value("name", Json()) == "default" &&
          one.value("template", Json()).is_string()) {
        return one["template"].get<std::string>();
      }
    }
  }
  return NoConfig("its chat_template is neither a text nor a list with one named \"default\"");
}

ToolFormat ToolFormatOf(std::string_view source) {
  const auto has = [&](std::string_view text) { return source.find(text) != source.npos; };
  if (!has("tools")) return ToolFormat::kNone;
  if (has("<tool_call>")) return ToolFormat::kTagged;
  return has("\"parameters\"") ? ToolFormat::kBare : ToolFormat::kNone;
}

absl::StatusOr<Value> JsonValue(std::string_view what, std::string_view text, bool array,
                                jinja::Budget& budget) {
  if (NestsTooDeep(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(what), " nest deeper than ", kMaxJsonDepth, " levels"));
  }
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (array ? !json.is_array() : !json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(what), " must be a JSON ", array ? "array" : "object"));
  }
  return jinja::FromJson(json, Origin::kData, budget);
}

using Entries = std::vector<std::pair<Text, Value>>;

void Add(Entries& entries, std::string_view key, Value value) {
  entries.emplace_back(Text(key, Origin::kTemplate), std::move(value));
}

// As OpenAI's API writes a call, but for the arguments, which templates want as an object.
absl::StatusOr<Value> CallValue(const ToolCall& call, jinja::Budget& budget) {
  Entries function, entries;
  Add(function, "name", Value::Of(call.name, Origin::kData));
  FLOE_ASSIGN_OR_RETURN(Value arguments, JsonValue("the arguments of a tool call", call.arguments,
                                                   /*array=*/false, budget));
  Add(function, "arguments", std::move(arguments));
  Add(entries, "type", Value::Of("function", Origin::kData));
  if (!call.id.empty()) Add(entries, "id", Value::Of(call.id, Origin::kData));
  FLOE_ASSIGN_OR_RETURN(Value made, jinja::MakeMap(std::move(function), budget));
  Add(entries, "function", std::move(made));
  return jinja::MakeMap(std::move(entries), budget);
}

absl::StatusOr<Value> MessagesOf(std::span<const ChatMessage> messages, jinja::Budget& budget) {
  std::vector<Value> list;
  for (const ChatMessage& message : messages) {
    Entries entries;
    Add(entries, "role", Value::Of(message.role, Origin::kRole));
    Add(entries, "content", Value::Of(message.content, Origin::kData));
    if (!message.tool_calls.empty()) {
      std::vector<Value> calls;
      for (const ToolCall& call : message.tool_calls) {
        FLOE_ASSIGN_OR_RETURN(Value value, CallValue(call, budget));
        calls.push_back(std::move(value));
      }
      FLOE_ASSIGN_OR_RETURN(Value made, jinja::MakeList(std::move(calls), budget));
      Add(entries, "tool_calls", std::move(made));
    }
    if (!message.tool_call_id.empty()) {
      Add(entries, "tool_call_id", Value::Of(message.tool_call_id, Origin::kData));
    }
    FLOE_ASSIGN_OR_RETURN(Value made, jinja::MakeMap(std::move(entries), budget));
    list.push_back(std::move(made));
  }
  return jinja::MakeList(std::move(list), budget);
}

// FAILED_PRECONDITION where a template that knows no tools is given some.
absl::Status CheckTools(ToolFormat format, std::span<const ChatMessage> messages,
                        const ChatTemplateOptions& options) {
  if (format != ToolFormat::kNone) return absl::OkStatus();
  const bool called = std::any_of(messages.begin(), messages.end(), [](const ChatMessage& one) {
    return !one.tool_calls.empty() || !one.tool_call_id.empty();
  });
  if (!called && options.tools.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the model's chat template knows no tools; ask without them, or a model whose "
      "tokenizer_config.json has a chat_template that writes them");
}

// The part [begin, end) of what the template wrote, as ids.
absl::StatusOr<std::vector<TokenId>> Encode(const Tokenizer& tokenizer, const Text& text,
                                            size_t begin, size_t end) {
  const std::string_view bytes = std::string_view(text.bytes).substr(begin, end - begin);
  const std::string_view origins = std::string_view(text.origins).substr(begin, end - begin);
  std::optional<std::string_view> made_of_a_role;
  const auto trusted = [&](size_t at, size_t length) {
    const std::string_view from = origins.substr(at, length);
    const auto has = [&](Origin origin) {
      return from.find(static_cast<char>(origin)) != std::string_view::npos;
    };
    if (has(Origin::kData)) return false;
    if (!has(Origin::kRole)) return true;
    if (has(Origin::kTemplate)) made_of_a_role = bytes.substr(at, length);
    return false;
  };
  std::vector<TokenId> ids = tokenizer.EncodeWithSpecials(bytes, trusted);
  if (!made_of_a_role) return ids;
  return absl::InvalidArgumentError(absl::StrCat(
      "the chat template puts the token ", absl::CHexEscape(AbslView(*made_of_a_role)),
      " together from a message's role, which is not supported; write the tokens out in it"));
}

}  // namespace

ChatTemplate::ChatTemplate() : digest_(Sha256::Hex(kChatMlJinja)) {}

absl::StatusOr<ChatTemplate> ChatTemplate::FromConfig(std::string_view tokenizer_config_json) {
  const absl::StatusOr<Json> parsed = ParseStrictJson(tokenizer_config_json, "it");
  if (!parsed.ok()) return NoConfig(StdView(parsed.status().message()));
  const Json& config = *parsed;
  if (!config.is_object()) return NoConfig("it is no JSON object");
  FLOE_ASSIGN_OR_RETURN(const std::optional<std::string> source, SourceOf(config));
  ChatTemplate chat;
  if (!source || *source == kChatMlJinja) return chat;
  auto loaded = jinja::Template::Load(*source);
  if (!loaded.ok()) {
    return absl::Status(loaded.status().code(),
                        absl::StrCat("tokenizer_config.json, ", loaded.status().message()));
  }
  Own own{*std::move(loaded), {}, ToolFormatOf(*source)};
  for (const std::string_view name : kTokenNames) {
    if (const auto text = TokenText(config, name)) {
      own.tokens[std::string(name)] = Value::Of(*text, Origin::kTemplate);
    }
  }
  chat.own_ = std::make_shared<const Own>(std::move(own));
  chat.digest_ = Sha256::Hex(*source);
  return chat;
}

namespace {

absl::StatusOr<jinja::Rendering> RenderOwn(const jinja::Template& jinja,
                                           std::map<std::string, Value, std::less<>> variables,
                                           std::span<const ChatMessage> messages,
                                           ChatTemplateOptions options) {
  jinja::RenderInput input;
  input.now = options.now;
  size_t bytes = options.tools.size();
  for (size_t i = 0; i < messages.size(); ++i) {
    FLOE_RETURN_IF_ERROR(CheckRole(messages[i], i));
    bytes += messages[i].role.size() + messages[i].content.size();
    for (const ToolCall& call : messages[i].tool_calls) {
      bytes += call.name.size() + call.arguments.size();
    }
  }
  input.work += jinja::kWorkAMessage * static_cast<int64_t>(messages.size()) +
                jinja::kWorkAByte * static_cast<int64_t>(bytes);
  jinja::Budget budget(input.work);
  FLOE_ASSIGN_OR_RETURN(variables["messages"], MessagesOf(messages, budget));
  variables["add_generation_prompt"] = Value::Of(options.add_generation_prompt);
  variables["tools"] = variables["documents"] = Value(jinja::None());
  if (!options.tools.empty()) {
    FLOE_ASSIGN_OR_RETURN(variables["tools"],
                          JsonValue("tools", options.tools, /*array=*/true, budget));
  }
  input.variables = std::move(variables);
  return jinja.Render(std::move(input));
}

}  // namespace

absl::StatusOr<std::vector<TokenId>> ChatTemplate::Render(const Tokenizer& tokenizer,
                                                          std::span<const ChatMessage> messages,
                                                          ChatTemplateOptions options) const {
  FLOE_RETURN_IF_ERROR(CheckTools(tool_format(), messages, options));
  if (own_ == nullptr) return RenderChat(tokenizer, messages, options);
  FLOE_ASSIGN_OR_RETURN(const jinja::Rendering rendering,
                        RenderOwn(own_->jinja, own_->tokens, messages, options));
  return Encode(tokenizer, rendering.text, 0, rendering.text.size());
}

ToolFormat ChatTemplate::tool_format() const {
  return own_ == nullptr ? ToolFormat::kNone : own_->tool_format;
}

absl::StatusOr<MaskedChat> ChatTemplate::RenderForTraining(const Tokenizer& tokenizer,
                                                           std::span<const ChatMessage> messages,
                                                           Answers answers) const {
  if (own_ == nullptr) return RenderChatForTraining(tokenizer, messages, answers);
  if (!own_->jinja.has_generation()) {
    return absl::FailedPreconditionError(
        "the model's chat template does not say what the assistant writes, so answers cannot be "
        "told from questions; put {% generation %} and {% endgeneration %} around it in the "
        "chat_template of tokenizer_config.json");
  }
  FLOE_ASSIGN_OR_RETURN(
      const jinja::Rendering rendering,
      RenderOwn(own_->jinja, own_->tokens, messages, {.add_generation_prompt = false}));
  const auto& spans = rendering.generations;
  const auto turns = std::count_if(messages.begin(), messages.end(),
                                   [](const ChatMessage& one) { return one.role == kAssistant; });
  if (static_cast<int64_t>(spans.size()) != turns) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model's chat template marks ", spans.size(), " answers of ", turns,
                     " messages of the assistant; it must mark each once"));
  }
  const bool ends_with_answer = !messages.empty() && messages.back().role == kAssistant;
  MaskedChat chat;
  size_t at = 0;
  const auto add = [&](size_t end, bool answer) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const auto ids, Encode(tokenizer, rendering.text, at, end));
    chat.ids.insert(chat.ids.end(), ids.begin(), ids.end());
    chat.answer.resize(chat.ids.size(), answer);
    at = end;
    return absl::OkStatus();
  };
  for (const auto& span : spans) {
    const bool last = ends_with_answer && &span == &spans.back();
    FLOE_RETURN_IF_ERROR(add(span.first, false));
    FLOE_RETURN_IF_ERROR(add(span.second, answers == Answers::kAll || last));
  }
  FLOE_RETURN_IF_ERROR(add(rendering.text.size(), false));
  return chat;
}

}  // namespace floe::tokenizer
