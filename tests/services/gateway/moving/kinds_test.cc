// Every kind of answer that a worker can die in the middle of: it goes on at another one, letter by
// letter and number by number as if nothing had happened, and is charged once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/moving/moving_fixture.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::SizeIs;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";

constexpr int64_t kLongAnswer = 8000;
// Of the KV cache: some hundred tokens, so the answer is well under way.
constexpr int64_t kMiddle = 40;

// With tools in Qwen's form.
constexpr char kTemplate[] = R"({%- if tools %}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}
{% for call in m.tool_calls %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{% endfor %}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %})";

// A form of some six thousand letters, whatever the model says.
json LongForm() {
  return json::parse(R"({"type": "object", "additionalProperties": false,
      "required": ["words", "sum"],
      "properties": {"words": {"type": "array", "minItems": 12, "maxItems": 12,
                               "items": {"type": "string", "pattern": "^[a-z]{500}$"}},
                     "sum": {"type": "integer"}}})");
}

// One of the answers to a request, as its client puts it together.
struct Choice {
  std::string text;
  std::string calls;     // names and arguments
  std::string logprobs;  // as JSON: the numbers as they were sent
  std::string finish_reason;
  bool operator==(const Choice&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Choice& choice) {
  return out << choice.text << "|" << choice.calls << "|" << choice.logprobs << "|"
             << choice.finish_reason;
}

struct Answer {
  std::map<int, Choice> choices;
  std::string usage_id;
  json usage;
};

void Take(const json& event, Answer& answer) {
  EXPECT_FALSE(event.contains("error")) << event;
  if (event.contains("usage") && event["usage"].is_object()) answer.usage = event["usage"];
  for (const json& told : event.value("choices", json::array())) {
    Choice& choice = answer.choices[told["index"]];
    const json& message = told.contains("delta")     ? told["delta"]
                          : told.contains("message") ? told["message"]
                                                     : told;
    for (const char* field : {"content", "text"}) {
      if (message.contains(field) && message[field].is_string()) choice.text += message[field];
    }
    for (const json& call : message.value("tool_calls", json::array())) {
      choice.calls += call["function"].value("name", "");
      choice.calls += call["function"].value("arguments", "");
    }
    const json logprobs = told.value("logprobs", json());
    if (logprobs.is_object()) {
      for (const json& one : logprobs["content"]) absl::StrAppend(&choice.logprobs, one.dump());
    }
    if (told["finish_reason"].is_string()) choice.finish_reason = told["finish_reason"];
  }
}

Answer AnswerOf(const HttpAnswer& http) {
  EXPECT_EQ(http.status, 200) << http.body;
  Answer answer;
  answer.usage_id = http.headers.at("x-floe-usage-id");
  if (http.headers.at("content-type").find("event-stream") == std::string::npos) {
    Take(json::parse(http.body), answer);
    return answer;
  }
  const std::vector<std::string> events = EventsOf(http.body);
  EXPECT_EQ(events.back(), "[DONE]");
  for (const std::string& event : events) {
    if (event != "[DONE]") Take(json::parse(event), answer);
  }
  return answer;
}

class KindsTest : public MovingFixture {
 protected:
  void SetUp() override { StartWorkers(/*drain_grace=*/absl::Seconds(20), kTemplate); }

  // The answer, undisturbed, after it was the same with a worker killed in its middle.
  Answer ExpectTheSameWhenAWorkerDies(const char* path, json body) {
    body.update(json{{"model", "hamlet"}, {"seed", 11}, {"temperature", 1}});
    if (body.value("stream", false)) body["stream_options"] = {{"include_usage", true}};
    const Answer undisturbed = AnswerOf(HttpClient(fleet_->port()).Post(path, body.dump()));
    EXPECT_THAT(fleet_->metrics(), testing::Not(testing::HasSubstr(kMoved)));
    EXPECT_TRUE(till_.Flush());
    ExpectChargedOnce(undisturbed);  // its worker has told of it, and may die

    HttpClient client(fleet_->port());
    EXPECT_TRUE(client.Write(PostText(path, body.dump())));
    AwaitBusy(kMiddle).process().Signal(SIGKILL);
    const Answer moved = AnswerOf(client.ReadAnswer());
    EXPECT_THAT(fleet_->metrics(), testing::HasSubstr(kMoved));
    EXPECT_EQ(moved.choices, undisturbed.choices);
    for (const char* count : {"prompt_tokens", "completion_tokens", "total_tokens"}) {
      EXPECT_EQ(moved.usage[count], undisturbed.usage[count]) << count;
    }
    EXPECT_TRUE(till_.Flush());
    ExpectChargedOnce(moved);
    return undisturbed;
  }

  // The prompt once and each token once, as the client was told.
  void ExpectChargedOnce(const Answer& answer) {
    const billing::v1::ExplainUsageResponse usage = ExplainAttempts(answer.usage_id, 1);
    const auto& quantities = usage.event().quantities();
    EXPECT_EQ(quantities.input_tokens() + quantities.cached_input_tokens(),
              answer.usage["prompt_tokens"]);
    EXPECT_EQ(quantities.output_tokens(), answer.usage["completion_tokens"]);
    EXPECT_EQ(usage.event().arrived_tokens(), answer.usage["completion_tokens"]);
  }

  static json Chat(const json& more) {
    json body = {{"messages", {{{"role", "user"}, {"content", "Once upon a time?"}}}},
                 {"max_tokens", kLongAnswer}};
    body.update(more);
    return body;
  }
  static constexpr char kMoved[] = "floe_gateway_moved_streams_total{reason=\"failure\"}";
};

TEST_F(KindsTest, AFormGoesOnWhereItWas) {
  const json format = {{"type", "json_schema"},
                       {"json_schema", {{"name", "words"}, {"schema", LongForm()}}}};
  const Answer answer =
      ExpectTheSameWhenAWorkerDies(kChat, Chat({{"stream", true}, {"response_format", format}}));
  const Choice& choice = answer.choices.at(0);
  EXPECT_EQ(choice.finish_reason, "stop");
  const json value = json::parse(choice.text);
  EXPECT_THAT(value["words"], SizeIs(12));
  for (const json& word : value["words"]) EXPECT_THAT(word.get<std::string>(), SizeIs(500));
}

TEST_F(KindsTest, AToolCallGoesOnWhereItWas) {
  const json tool = {{"type", "function"},
                     {"function", {{"name", "sum"}, {"parameters", LongForm()}}}};
  const Answer answer = ExpectTheSameWhenAWorkerDies(
      kChat, Chat({{"stream", true}, {"tools", {tool}}, {"tool_choice", "required"}}));
  const Choice& choice = answer.choices.at(0);
  EXPECT_EQ(choice.finish_reason, "tool_calls");
  EXPECT_EQ(choice.text, "");
  EXPECT_EQ(choice.calls.substr(0, 4), "sum{");
  EXPECT_THAT(json::parse(choice.calls.substr(3))["words"], SizeIs(12));
}

TEST_F(KindsTest, LogProbabilitiesAreTheSameBitForBit) {
  const Answer answer = ExpectTheSameWhenAWorkerDies(
      kChat, Chat({{"stream", true}, {"logprobs", true}, {"top_logprobs", 3}}));
  EXPECT_GT(answer.choices.at(0).logprobs.size(), size_t{kLongAnswer});
}

TEST_F(KindsTest, BothOfTwoAnswersGoOn) {
  const Answer answer = ExpectTheSameWhenAWorkerDies(kChat, Chat({{"stream", true}, {"n", 2}}));
  ASSERT_THAT(answer.choices, SizeIs(2));
  EXPECT_NE(answer.choices.at(0).text, answer.choices.at(1).text);
  EXPECT_EQ(answer.usage["completion_tokens"], 2 * kLongAnswer);
}

// What was said before counts in a penalty, whoever computed it.
TEST_F(KindsTest, PenaltiesAndBiasesGoOn) {
  const json plain = {
      {"prompt", "Once upon a time"}, {"max_tokens", kLongAnswer}, {"stream", true}};
  json body = plain;
  body.update(json{{"presence_penalty", 0.7},
                   {"frequency_penalty", 0.01},
                   {"logit_bias", {{"65", 3}, {"66", -100}}}});
  const Answer answer = ExpectTheSameWhenAWorkerDies(kCompletions, body);
  EXPECT_EQ(answer.choices.at(0).text.find('B'), std::string::npos);
  EXPECT_EQ(answer.usage["completion_tokens"], kLongAnswer);
}

TEST_F(KindsTest, AnAnswerThatIsNotStreamedGoesOnToo) {
  const Answer answer =
      ExpectTheSameWhenAWorkerDies(kChat, Chat({{"logprobs", true}, {"top_logprobs", 1}}));
  EXPECT_EQ(answer.choices.at(0).finish_reason, "length");
  EXPECT_EQ(answer.usage["completion_tokens"], kLongAnswer);
}

}  // namespace
}  // namespace floe::gateway
