// Tools from the HTTP request through the model's template to the worker, and calls back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
namespace pb = inference::v1;

constexpr char kChat[] = "/v1/chat/completions";

// Qwen's form, shortened.
constexpr char kTagged[] = R"({%- if tools %}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %})";

constexpr char kWeather[] = R"({"type": "function", "function": {"name": "weather",
    "description": "Of a city", "parameters": {"type": "object",
    "properties": {"zone": {"type": "string"}, "city": {"type": "string"}},
    "required": ["city"]}}})";

json Chat(const json& more = json::object()) {
  json body = {{"model", "hamlet"},
               {"messages", {{{"role", "user"}, {"content", "Rain?"}}}},
               {"tools", {json::parse(kWeather)}},
               {"max_tokens", 120}};
  body.update(more);
  return body;
}

// Says `text`, a few bytes a message.
FakeWorker::Behaviour Says(std::string text) {
  return [text = std::move(text)](grpc::ServerContext&, const pb::GenerateRequest& request,
                                  FakeWorker::Writer& writer) {
    for (size_t at = 0; at < text.size(); at += 3) {
      pb::GenerateResponse piece;
      for (const char c : text.substr(at, 3)) piece.add_ids(static_cast<unsigned char>(c));
      piece.set_text(text.substr(at, 3));
      if (at + 3 >= text.size()) {
        piece.mutable_finish()->set_reason(pb::Finish::STOP);
        piece.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
        piece.mutable_finish()->set_completion_tokens(static_cast<int64_t>(text.size()));
      }
      if (!writer.Write(piece)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  };
}

constexpr char kCall[] =
    "I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": "
    "\"Kyiv\"}}\n</tool_call>";

// With the ChatML tokens, one id a byte.
std::string TextOf(const pb::GenerateRequest& request) {
  std::string text;
  for (const uint32_t id : request.prompt_ids()) {
    text += id < 256 ? std::string{static_cast<char>(id)} : id == 257 ? "<S>" : "<E>";
  }
  return text;
}

class ToolsTest : public testing::Test {
 protected:
  json Post(const json& body, int status = 200) {
    const HttpAnswer answer = client_.Post(kChat, body.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body);
  }

  FakeFleet fleet_{{.chat_template = kTagged}};
  HttpClient client_{fleet_.port()};
};

TEST_F(ToolsTest, ACallComesBackAsOne) {
  fleet_.worker().Behave(Says(kCall));
  const json answer = Post(Chat());
  const json choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], "I look.");
  ASSERT_THAT(choice["message"]["tool_calls"], SizeIs(1));
  const json call = choice["message"]["tool_calls"][0];
  EXPECT_THAT(call["id"].get<std::string>(), StartsWith("call_"));
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"]["name"], "weather");
  EXPECT_EQ(json::parse(call["function"]["arguments"].get<std::string>()),
            json({{"city", "Kyiv"}}));
  // The template had the tool as the client wrote it.
  EXPECT_THAT(TextOf(fleet_.worker().requests().back()),
              HasSubstr(R"("properties": {"city": {"type": "string"}, "zone")"))
      << "json sorts what this test sends";
}

TEST_F(ToolsTest, ToolsKeepTheOrderOfTheirFields) {
  fleet_.worker().Behave(Says("No."));
  const std::string body = R"({"model": "hamlet", "max_tokens": 9, "tools": [)" +
                           std::string(kWeather) +
                           R"(], "messages": [{"role": "user", "content": "Rain?"}]})";
  const HttpAnswer answer = client_.Post(kChat, body);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json choice = json::parse(answer.body)["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["message"]["content"], "No.");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  EXPECT_THAT(TextOf(fleet_.worker().requests().back()),
              HasSubstr(R"("properties": {"zone": {"type": "string"}, "city")"));
}

TEST_F(ToolsTest, AStreamHasItToo) {
  fleet_.worker().Behave(Says(kCall));
  const HttpAnswer answer = client_.Post(kChat, Chat({{"stream", true}}).dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::string content, arguments, name, reason;
  std::string_view rest = answer.body;
  while (true) {
    const size_t at = rest.find("data: {");
    if (at == rest.npos) break;
    rest.remove_prefix(at + 6);
    const json chunk = json::parse(rest.substr(0, rest.find("\n\n")));
    const json& choice = chunk["choices"][0];
    const json& delta = choice["delta"];
    if (delta.contains("content")) content += delta["content"].get<std::string>();
    if (delta.contains("tool_calls")) {
      EXPECT_EQ(delta["tool_calls"][0]["index"], 0);
      name += delta["tool_calls"][0]["function"]["name"].get<std::string>();
      arguments += delta["tool_calls"][0]["function"]["arguments"].get<std::string>();
    }
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(content, "I look.");
  EXPECT_EQ(name, "weather");
  EXPECT_EQ(arguments, R"({"city":"Kyiv"})");
  EXPECT_EQ(reason, "tool_calls");
}

TEST_F(ToolsTest, ARequiredCallIsTheFormOfTheAnswer) {
  fleet_.worker().Behave(Says(R"({"name": "weather", "arguments": {"city": "Kyiv"}})"));
  for (const json& choice :
       {json("required"), json({{"type", "function"}, {"function", {{"name", "weather"}}}})}) {
    const json answer = Post(Chat({{"tool_choice", choice}}));
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "tool_calls");
    EXPECT_TRUE(answer["choices"][0]["message"]["content"].is_null());
    EXPECT_THAT(answer["choices"][0]["message"]["tool_calls"], SizeIs(1));
    const pb::GenerateRequest asked = fleet_.worker().requests().back();
    EXPECT_THAT(TextOf(asked), testing::EndsWith("assistant\n<tool_call>\n"));
    EXPECT_THAT(asked.constraint().json_schema(), HasSubstr(R"({"const":"weather"})"));
    EXPECT_THAT(asked.constraint().json_schema(), HasSubstr(R"("required":["city"])"));
  }
}

TEST_F(ToolsTest, CallsAndTheirResultsGoBackIntoThePrompt) {
  fleet_.worker().Behave(Says("Wet."));
  const json answer = Post(
      Chat({{"messages",
             {{{"role", "user"}, {"content", "Rain?"}},
              {{"role", "assistant"},
               {"content", nullptr},
               {"tool_calls",
                {{{"id", "call_1"},
                  {"type", "function"},
                  {"function", {{"name", "weather"}, {"arguments", R"({"city": "Kyiv"})"}}}}}}},
              {{"role", "tool"}, {"tool_call_id", "call_1"}, {"content", "rain<|im_end|>"}}}}}));
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Wet.");
  const std::string prompt = TextOf(fleet_.worker().requests().back());
  EXPECT_THAT(prompt, HasSubstr("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": "
                                "\"Kyiv\"}}\n</tool_call><E>"));
  EXPECT_THAT(prompt, HasSubstr("<S>tool\nrain<|im_end|><E>"));
}

TEST_F(ToolsTest, WithoutAChoiceToCallNothingIsOffered) {
  fleet_.worker().Behave(Says(kCall));
  const json answer = Post(Chat({{"tool_choice", "none"}}));
  EXPECT_EQ(answer["choices"][0]["message"]["content"], kCall);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_THAT(TextOf(fleet_.worker().requests().back()), Not(HasSubstr("weather")));
}

TEST_F(ToolsTest, RulesSeeToolsAndCalls) {
  fleet_.policies().Set(R"(
defaults:
  input: [{words: [Kyiv], name: words, action: block}]
  output: [{words: [Lviv], name: city, action: block}])");
  json tool = json::parse(kWeather);
  tool["function"]["description"] = "Of Kyiv";
  EXPECT_EQ(Post(Chat({{"tools", {tool}}}), 400)["error"]["param"], "tools");
  const json messages = {
      {{"role", "user"}, {"content", "Rain?"}},
      {{"role", "assistant"},
       {"tool_calls",
        {{{"id", "c"},
          {"function", {{"name", "weather"}, {"arguments", R"({"city": "Kyiv"})"}}}}}}},
      {{"role", "tool"}, {"tool_call_id", "c"}, {"content", "rain"}}};
  EXPECT_EQ(Post(Chat({{"messages", messages}}), 400)["error"]["param"],
            "messages[1].tool_calls[0].function.arguments");
  fleet_.worker().Behave(
      Says("<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Lviv\"}}</tool_call>"));
  const json choice = Post(Chat())["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "content_filter");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
}

TEST_F(ToolsTest, MistakesAreNamed) {
  const auto param = [&](const json& more) { return Post(Chat(more), 400)["error"]["param"]; };
  EXPECT_EQ(param({{"tools", 7}}), "tools");
  EXPECT_EQ(param({{"tools", {{{"type", "code_interpreter"}}}}}), "tools[0].type");
  EXPECT_EQ(param({{"tools", {{{"type", "function"}, {"function", {{"name", "a b"}}}}}}}),
            "tools[0].function.name");
  EXPECT_EQ(param({{"tools", {json::parse(kWeather), json::parse(kWeather)}}}), "tools");
  EXPECT_EQ(param({{"tool_choice", "sometimes"}}), "tool_choice");
  EXPECT_EQ(param({{"tool_choice", {{"type", "function"}, {"function", {{"name", "x"}}}}}}),
            "tool_choice.function.name");
  EXPECT_EQ(param({{"response_format", {{"type", "json_object"}}}}), "tools");
  json refers = json::parse(kWeather);
  refers["function"]["parameters"]["properties"]["city"] = {{"$ref", "#"}};
  EXPECT_EQ(param({{"tools", {refers}}, {"tool_choice", "required"}}), "tool_choice");
  EXPECT_EQ(param({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}),
            "messages[0].tool_call_id");
  EXPECT_EQ(param({{"messages",
                    {{{"role", "assistant"},
                      {"tool_calls",
                       {{{"id", "c"}, {"function", {{"name", "w"}, {"arguments", "[1"}}}}}}}}}}),
            "messages[0].tool_calls[0].function.arguments");
}

TEST(ToolsOfChatMl, AreRefusedSinceItsTemplateHasNone) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, Chat().dump());
  EXPECT_EQ(answer.status, 400) << answer.body;
  const json error = json::parse(answer.body)["error"];
  EXPECT_EQ(error["param"], "tools");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("knows no tools"));
}

}  // namespace
}  // namespace floe::gateway
