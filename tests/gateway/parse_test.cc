#include "gateway/openai/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/error_reason.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

json Chat() {
  return {{"model", "hamlet"}, {"messages", {{{"role", "user"}, {"content", "Hello"}}}}};
}
json Completion() { return {{"model", "hamlet"}, {"prompt", "Hello"}}; }

absl::StatusOr<Ask> Parse(const json& body) {
  return body.contains("messages") ? ParseChat(body.dump()) : ParseCompletion(body.dump());
}

json With(json body, const char* field, json value) {
  body[field] = std::move(value);
  return body;
}

struct Mistake {
  json body;
  std::string code;
  std::string param;
  std::string says;
};

void ExpectMistake(const Mistake& mistake) {
  const auto ask = Parse(mistake.body);
  ASSERT_EQ(ask.status().code(), absl::StatusCode::kInvalidArgument) << mistake.body.dump();
  const ErrorReason reason = ReasonOf(ask.status()).value();
  EXPECT_EQ(reason.reason, mistake.code) << mistake.body.dump();
  EXPECT_EQ(reason.metadata.at("param"), mistake.param) << mistake.body.dump();
  EXPECT_THAT(std::string(ask.status().message()), HasSubstr(mistake.says));
}

TEST(ParseTest, TheLeastIsEnoughAndTheRestHasOpenAisDefaults) {
  const Ask ask = Parse(Chat()).value();
  EXPECT_EQ(ask.model, "hamlet");
  EXPECT_THAT(std::get<std::vector<Message>>(ask.prompts.at(0)),
              ElementsAre(Message{"user", "Hello"}));
  EXPECT_EQ(ask.sampling.temperature, 1);
  EXPECT_EQ(ask.sampling.top_p, 1);
  EXPECT_EQ(ask.sampling.top_k, 0);
  EXPECT_EQ(ask.sampling.min_p, 0);
  EXPECT_FALSE(ask.sampling.seed);
  EXPECT_FALSE(ask.max_tokens);
  EXPECT_TRUE(ask.stop.empty());
  EXPECT_EQ(ask.tier, ServiceTier::kDefault);
  EXPECT_FALSE(ask.stream);
  EXPECT_TRUE(ask.use_cache);
  EXPECT_TRUE(ask.is_chat());
  EXPECT_FALSE(Parse(Completion()).value().is_chat());
}

TEST(ParseTest, EveryFieldArrives) {
  json body = Chat();
  body.update({{"temperature", 0},
               {"top_p", 0.5},
               {"top_k", 20},
               {"min_p", 0.1},
               {"seed", -3},
               {"stop", {"a", "b"}},
               {"max_completion_tokens", 9},
               {"stream", true},
               {"stream_options", {{"include_usage", true}}},
               {"service_tier", "flex"},
               {"floe", {{"cache", "off"}, {"retrieval", {{"collection", "c1"}, {"top_k", 9}}}}},
               {"cache_salt", "s1"},
               {"user", "someone"}});
  const Ask ask = Parse(body).value();
  EXPECT_EQ(ask.sampling.temperature, 0);
  EXPECT_EQ(ask.sampling.top_p, 0.5f);
  EXPECT_EQ(ask.sampling.top_k, 20);
  EXPECT_EQ(ask.sampling.min_p, 0.1f);
  EXPECT_EQ(ask.sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_THAT(ask.stop, ElementsAre("a", "b"));
  EXPECT_EQ(ask.max_tokens, 9);
  EXPECT_TRUE(ask.stream);
  EXPECT_TRUE(ask.include_usage);
  EXPECT_EQ(ask.tier, ServiceTier::kFlex);
  EXPECT_FALSE(ask.use_cache);
  EXPECT_EQ(ask.cache_salt, "s1");
  EXPECT_EQ(ask.retrieval.kind, RetrievalAsk::Kind::kAsked);
  EXPECT_EQ(ask.retrieval.collection, "c1");
  EXPECT_EQ(ask.retrieval.top_k, 9);
}

TEST(ParseTest, RetrievalMayBeLeftToThePolicyOrForbidden) {
  EXPECT_EQ(Parse(Chat()).value().retrieval.kind, RetrievalAsk::Kind::kByPolicy);
  const Ask off = Parse(With(Chat(), "floe", {{"retrieval", "off"}})).value();
  EXPECT_EQ(off.retrieval.kind, RetrievalAsk::Kind::kOff);
  const Ask asked = Parse(With(Chat(), "floe", {{"retrieval", {{"collection", "c"}}}})).value();
  EXPECT_EQ(asked.retrieval.top_k, RetrievalAsk::kDefaultTopK);
}

TEST(ParseTest, NullIsAbsentAndNoOpsOfUnsupportedFieldsPass) {
  json body = Chat();
  body.update({{"temperature", nullptr},
               {"stop", nullptr},
               {"n", 1},
               {"logprobs", false},
               {"presence_penalty", 0},
               {"frequency_penalty", 0.0},
               {"tools", json::array()},
               {"logit_bias", json::object()},
               {"response_format", {{"type", "text"}}},
               {"service_tier", "auto"},
               {"metadata", {{"a", "b"}}}});
  EXPECT_TRUE(Parse(body).ok()) << Parse(body).status();
  json completion = Completion();
  completion.update({{"best_of", 1}, {"echo", false}, {"logprobs", nullptr}, {"suffix", ""}});
  EXPECT_TRUE(Parse(completion).ok()) << Parse(completion).status();
}

TEST(ParseTest, AStopMayBeOneString) {
  EXPECT_THAT(Parse(With(Chat(), "stop", "end")).value().stop, ElementsAre("end"));
}

TEST(ParseTest, TopPZeroKeepsOneTokenNotAll) {
  const Ask ask = Parse(With(Chat(), "top_p", 0)).value();
  EXPECT_GT(ask.sampling.top_p, 0);
  EXPECT_LT(ask.sampling.top_p, 1e-3);
}

TEST(ParseTest, ContentMayComeInTextParts) {
  json body = Chat();
  body["messages"] = {
      {{"role", "developer"}, {"content", "Be brief."}},
      {{"role", "user"},
       {"content", {{{"type", "text"}, {"text", "Hel"}}, {{"type", "text"}, {"text", "lo"}}}}}};
  EXPECT_THAT(std::get<std::vector<Message>>(Parse(body).value().prompts.at(0)),
              ElementsAre(Message{"system", "Be brief."}, Message{"user", "Hello"}));
}

TEST(ParseTest, AnAnswerMayBeSentBackAsItCame) {
  json body = Chat();
  body["messages"].push_back(
      {{"role", "assistant"}, {"content", "Hi"}, {"refusal", nullptr}, {"tool_calls", nullptr}});
  EXPECT_TRUE(Parse(body).ok()) << Parse(body).status();
}

TEST(ParseTest, PromptsAreTextsOrIdsAloneOrInAnArray) {
  using Ids = std::vector<uint32_t>;
  const auto prompts = [](json value) {
    return Parse(With(Completion(), "prompt", value))->prompts;
  };
  EXPECT_THAT(prompts("x"), ElementsAre(Prompt("x")));
  EXPECT_THAT(prompts({"x"}), ElementsAre(Prompt("x")));
  EXPECT_THAT(prompts({"x", "", "y"}), ElementsAre(Prompt("x"), Prompt(""), Prompt("y")));
  EXPECT_THAT(prompts({1, 2}), ElementsAre(Prompt(Ids{1, 2})));
  EXPECT_THAT(prompts(json::array({json::array({1, 2}), json::array({3})})),
              ElementsAre(Prompt(Ids{1, 2}), Prompt(Ids{3})));
  EXPECT_THAT(prompts(std::vector<std::string>(kMaxPrompts, "x")), SizeIs(kMaxPrompts));
  EXPECT_FALSE(Parse(With(Completion(), "prompt", {"x", "y"}))->is_chat());
}

TEST(ParseTest, MistakesInNumbersAreNamed) {
  const std::vector<Mistake> mistakes = {
      {With(Chat(), "max_tokens", 0), "INVALID_VALUE", "max_tokens", "max_tokens is 0"},
      {With(Chat(), "max_tokens", -5), "INVALID_VALUE", "max_tokens", "is -5"},
      {With(Chat(), "max_tokens", 1.5), "INVALID_TYPE", "max_tokens", "a number"},
      {With(Chat(), "max_tokens", "12"), "INVALID_TYPE", "max_tokens", "a string"},
      {With(Chat(), "max_completion_tokens", 0), "INVALID_VALUE", "max_completion_tokens", "is 0"},
      {With(With(Chat(), "max_tokens", 3), "max_completion_tokens", 4), "INVALID_VALUE",
       "max_completion_tokens", "differs"},
      {With(Chat(), "temperature", 2.1), "INVALID_VALUE", "temperature", "0 to 2"},
      {With(Chat(), "temperature", -0.1), "INVALID_VALUE", "temperature", "0 to 2"},
      {With(Chat(), "temperature", true), "INVALID_TYPE", "temperature", "a boolean"},
      {With(Chat(), "top_p", 1.01), "INVALID_VALUE", "top_p", "0 to 1"},
      {With(Chat(), "min_p", 2), "INVALID_VALUE", "min_p", "0 to 1"},
      {With(Chat(), "top_k", -2), "INVALID_VALUE", "top_k", "is -2"},
      {With(Chat(), "top_k", 3000000000), "INVALID_VALUE", "top_k", "3000000000"},
      {With(Chat(), "seed", 18446744073709551615u), "INVALID_VALUE", "seed",
       "18446744073709551615"},
      {With(Chat(), "seed", 0.5), "INVALID_TYPE", "seed", "an integer"},
  };
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
}

TEST(ParseTest, MistakesInTheRestAreNamed) {
  const std::vector<Mistake> mistakes = {
      {With(Chat(), "model", nullptr), "MISSING_REQUIRED_PARAMETER", "model", "/v1/models"},
      {With(Chat(), "model", 3), "INVALID_TYPE", "model", "an integer"},
      {With(Chat(), "stop", {"1", "2", "3", "4", "5"}), "INVALID_VALUE", "stop", "at most 4"},
      {With(Chat(), "stop", {"a", 1}), "INVALID_TYPE", "stop[1]", "an integer"},
      {With(Chat(), "stop", ""), "INVALID_VALUE", "stop[0]", "0 bytes"},
      {With(Chat(), "stop", std::string(2000, 'x')), "INVALID_VALUE", "stop[0]", "2000 bytes"},
      {With(Chat(), "stop", 5), "INVALID_TYPE", "stop", "an integer"},
      {With(Chat(), "stream", "yes"), "INVALID_TYPE", "stream", "true or false"},
      {With(Chat(), "stream_options", {{"include_usage", true}}), "INVALID_VALUE", "stream_options",
       "stream: true"},
      {With(Chat(), "service_tier", "gold"), "INVALID_VALUE", "service_tier", "priority"},
      {With(Chat(), "floe", {{"cache", "never"}}), "INVALID_VALUE", "floe.cache", "on or off"},
      {With(Chat(), "floe", {{"retrieval", "on"}}), "INVALID_VALUE", "floe.retrieval", "off"},
      {With(Chat(), "floe", {{"retrieval", json::object()}}), "MISSING_REQUIRED_PARAMETER",
       "floe.retrieval.collection", "floe docs ls"},
      {With(Chat(), "floe", {{"retrieval", {{"collection", "other/team"}}}}), "INVALID_VALUE",
       "floe.retrieval.collection", "floe docs ls"},
      {With(Chat(), "floe", {{"retrieval", {{"collection", "c"}, {"top_k", 51}}}}), "INVALID_VALUE",
       "floe.retrieval.top_k", "50"},
      {With(Chat(), "floe", "off"), "INVALID_TYPE", "floe", "an object"},
  };
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
}

TEST(ParseTest, ABodyThatNestsTooDeepIsRefusedBeforeItIsRead) {
  constexpr size_t kLevels = 2'000'000;
  const std::string deep = std::string(kLevels, '[') + std::string(kLevels, ']');
  for (const std::string& field :
       {R"("tools": [{"type": "function", "function": {"name": "f",
         "parameters": {"a": )" +
            deep + "}}}]",
        R"("structured_outputs": {"json": {"a": )" + deep + "}}", "\"x\": " + deep}) {
    const auto ask = openai::ParseChat(
        R"({"model": "m", "messages": [{"role": "user", "content": "c"}], )" + field + "}");
    EXPECT_EQ(ask.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(ask.status().message()), HasSubstr("nests deeper than 64"));
  }
}

TEST(ParseTest, UnsupportedFieldsAreRefusedByName) {
  const std::vector<std::pair<const char*, json>> fields = {
      {"functions", {{{"name", "f"}}}}, {"modalities", {"audio"}}, {"store", true}};
  for (const auto& [name, value] : fields) {
    ExpectMistake({With(Chat(), name, value), "UNSUPPORTED_PARAMETER", name, "not supported"});
  }
  ExpectMistake({With(Completion(), "suffix", "s"), "UNSUPPORTED_PARAMETER", "suffix", "or write"});
}

TEST(ParseTest, TheFormOfAnAnswerIsRead) {
  EXPECT_EQ(Parse(Chat())->response_format, ResponseFormat{});
  EXPECT_EQ(Parse(With(Chat(), "response_format", {{"type", "json_object"}}))->response_format.kind,
            ResponseFormat::Kind::kJsonObject);
  const json schema = {{"type", "object"}};
  const json format = {{"type", "json_schema"},
                       {"json_schema", {{"name", "n"}, {"strict", true}, {"schema", schema}}}};
  const ResponseFormat wanted = Parse(With(Chat(), "response_format", format))->response_format;
  EXPECT_EQ(wanted.kind, ResponseFormat::Kind::kJsonSchema);
  EXPECT_EQ(json::parse(wanted.text), schema);
  EXPECT_EQ(wanted.param, "response_format.json_schema.schema");
}

TEST(ParseTest, StructuredOutputsAreReadInChatsAndCompletions) {
  using Kind = ResponseFormat::Kind;
  const auto read = [](const json& value) {
    const auto chat = Parse(With(Chat(), "structured_outputs", value));
    const auto completion = ParseCompletion(With(Completion(), "structured_outputs", value).dump());
    EXPECT_TRUE(chat.ok() && completion.ok()) << value;
    EXPECT_EQ(chat->response_format, completion->response_format);
    return chat->response_format;
  };
  EXPECT_EQ(read({{"regex", "a+"}}),
            (ResponseFormat{Kind::kRegex, "a+", "structured_outputs.regex"}));
  EXPECT_EQ(read({{"grammar", "root ::= \"a\""}}).kind, Kind::kGrammar);
  EXPECT_EQ(read({{"json_object", true}}).kind, Kind::kJsonObject);
  EXPECT_EQ(read({{"json", {{"type", "null"}}}}).text, R"({"type":"null"})");
  EXPECT_EQ(read({{"json", R"({"type": "null"})"}}).text, R"({"type": "null"})");
  EXPECT_EQ(read({{"choice", {"yes", "no \"x\"\n\\"}}}).text,
            R"(root ::= "yes" | "no \x22x\x22\x0a\x5c")");
}

TEST(ParseTest, PropertiesOfASchemaKeepTheirOrder) {
  const std::string schema = R"({"properties":{"z":{"const":1},"a":{}},"type":"object"})";
  const auto text = [&](const char* field, const std::string& value) {
    const std::string body =
        absl::StrCat(R"({"model": "m", "messages": [{"role": "user", "content": "c"}], ")", field,
                     "\": ", value, "}");
    return ParseChat(body)->response_format.text;
  };
  EXPECT_EQ(text("structured_outputs", absl::StrCat("{\"json\": ", schema, "}")), schema);
  EXPECT_EQ(
      text("response_format",
           absl::StrCat(R"({"type": "json_schema", "json_schema": {"schema": )", schema, "}}")),
      schema);
}

TEST(ParseTest, MistakesInStructuredOutputsAreNamedByTheirPath) {
  const auto form = [](json value) { return With(Chat(), "structured_outputs", std::move(value)); };
  json both = form({{"regex", "a"}});
  both["response_format"] = {{"type", "json_object"}};
  const std::vector<Mistake> mistakes = {
      {form("a"), "INVALID_TYPE", "structured_outputs", "write an object"},
      {form(json::object()), "INVALID_VALUE", "structured_outputs", "must have one of"},
      {form({{"regex", "a"}, {"grammar", "b"}}), "INVALID_VALUE", "structured_outputs", "one of"},
      {form({{"choice", json::array()}}), "INVALID_VALUE", "structured_outputs.choice",
       "list of 1 to"},
      {form({{"choice", {"a", ""}}}), "INVALID_VALUE", "structured_outputs.choice", "not empty"},
      {form({{"json", 3}}), "INVALID_TYPE", "structured_outputs.json", "JSON Schema"},
      {both, "INVALID_VALUE", "response_format", "one of the two"}};
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
}

TEST(ParseTest, MistakesInTheFormAreNamedByTheirPath) {
  const auto format = [](json value) { return With(Chat(), "response_format", std::move(value)); };
  const std::vector<Mistake> mistakes = {
      {format("json"), "INVALID_TYPE", "response_format", "write an object"},
      {format(json::object()), "MISSING_REQUIRED_PARAMETER", "response_format.type", "json_schema"},
      {format({{"type", "xml"}}), "INVALID_VALUE", "response_format.type", "json_schema"},
      {format({{"type", "json_schema"}}), "MISSING_REQUIRED_PARAMETER",
       "response_format.json_schema", "object"},
      {format({{"type", "json_schema"}, {"json_schema", {{"name", "n"}}}}),
       "MISSING_REQUIRED_PARAMETER", "response_format.json_schema.schema", "JSON Schema"},
      {format({{"type", "json_schema"}, {"json_schema", {{"schema", "s"}}}}), "INVALID_TYPE",
       "response_format.json_schema.schema", "JSON Schema"}};
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
}

TEST(ParseTest, MistakesInMessagesAreNamedByTheirPath) {
  const auto messages = [](json list) { return With(Chat(), "messages", std::move(list)); };
  const std::vector<Mistake> mistakes = {
      {messages("hi"), "INVALID_TYPE", "messages", "a string"},
      {messages(json::array()), "INVALID_VALUE", "messages", "0 entries"},
      {messages({"hi"}), "INVALID_TYPE", "messages[0]", "a string"},
      {messages({{{"role", "user"}}}), "MISSING_REQUIRED_PARAMETER", "messages[0].content",
       "missing"},
      {messages({{{"content", "x"}}}), "MISSING_REQUIRED_PARAMETER", "messages[0].role", "user"},
      {messages({{{"role", "wizard"}, {"content", "x"}}}), "INVALID_VALUE", "messages[0].role",
       "assistant"},
      {messages({{{"role", "tool"}, {"content", "x"}}}), "MISSING_REQUIRED_PARAMETER",
       "messages[0].tool_call_id", "the id of the call"},
      {messages({{{"role", "user"}, {"content", "x"}, {"tool_call_id", "c"}}}),
       "UNSUPPORTED_PARAMETER", "messages[0].tool_call_id", "not supported"},
      {messages({{{"role", "user"}, {"content", 5}}}), "INVALID_TYPE", "messages[0].content",
       "an integer"},
      {messages({{{"role", "user"}, {"content", "x"}, {"name", "bob"}}}), "UNSUPPORTED_PARAMETER",
       "messages[0].name", "not supported"},
      {messages({{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}),
       "UNSUPPORTED_PARAMETER", "messages[0].content[0].type", "text"},
      {messages({{{"role", "user"}, {"content", {5}}}}), "INVALID_TYPE", "messages[0].content[0]",
       "an integer"},
  };
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
  json missing = Chat();
  missing.erase("messages");
  EXPECT_EQ(ReasonOf(ParseChat(missing.dump()).status())->metadata.at("param"), "messages");
}

TEST(ParseTest, MistakesInPromptsAreNamed) {
  const auto prompt = [](json value) { return With(Completion(), "prompt", std::move(value)); };
  const std::vector<Mistake> mistakes = {
      {prompt(nullptr), "MISSING_REQUIRED_PARAMETER", "prompt", "missing"},
      {prompt(json::array()), "INVALID_VALUE", "prompt", "0 entries"},
      {prompt(std::vector<std::string>(65, "a")), "INVALID_VALUE", "prompt", "65 entries"},
      {prompt({"a", 5}), "INVALID_TYPE", "prompt[1]", "an integer"},
      {prompt({"a", {1, -2}}), "INVALID_VALUE", "prompt[1]", "prompt[1][1]"},
      {With(prompt(std::vector<std::string>(64, "a")), "n", 3), "INVALID_VALUE", "prompt", "192"},
      {prompt({1, -2}), "INVALID_VALUE", "prompt", "prompt[1]"},
      {prompt({1, "a"}), "INVALID_VALUE", "prompt", "prompt[1]"},
      {prompt({1, 4294967296}), "INVALID_VALUE", "prompt", "prompt[1]"},
      {prompt(5), "INVALID_TYPE", "prompt", "an integer"},
      {prompt({{{"a", 1}}}), "INVALID_TYPE", "prompt[0]", "an object"},
  };
  for (const Mistake& mistake : mistakes) ExpectMistake(mistake);
}

TEST(ParseTest, WhatIsNoJsonObjectIsSaidSo) {
  for (const std::string body : {"", "{", "nonsense", "{\"a\":1}}", "\xff", "{\"a\":\"\\ud800\"}",
                                 "{\"a\":1e999}", "{\"a\":NaN}"}) {
    const auto ask = ParseChat(body);
    ASSERT_FALSE(ask.ok()) << body;
    EXPECT_EQ(ReasonOf(ask.status())->reason, "INVALID_JSON") << body;
  }
  for (const std::string body : {"[]", "null", "5", "\"x\""}) {
    EXPECT_EQ(ReasonOf(ParseChat(body).status())->reason, "INVALID_TYPE") << body;
  }
}

TEST(ParseTest, DeepNestingIsRefusedWithoutHarm) {
  const std::string deep(200'000, '[');
  EXPECT_FALSE(ParseChat(deep).ok());
  const std::string closed =
      absl::StrCat("{\"model\":\"hamlet\",\"messages\":", deep, std::string(deep.size(), ']'), "}");
  EXPECT_FALSE(ParseChat(closed).ok());
  const std::string harmless =
      absl::StrCat("{\"model\":\"hamlet\",\"prompt\":\"x\",\"metadata\":", deep,
                   std::string(deep.size(), ']'), "}");
  (void)ParseCompletion(harmless);
}

}  // namespace
}  // namespace floe::gateway::openai
