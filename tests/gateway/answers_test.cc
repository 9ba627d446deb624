// Answers, chunks and errors as JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/openai/answer_format.h"
#include "gateway/openai/error.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;
using testing::HasSubstr;

AnswerFacts Facts(bool chat) {
  return {.request_id = "01j",
          .chat = chat,
          .created = absl::FromUnixSeconds(1767225600),
          .model = "hamlet",
          .digest = "abc",
          .version = "teams/nlp/models/hamlet/versions/1",
          .tier = ServiceTier::kFlex,
          .seed = 9007199254740993,  // 2^53 + 1
          .trace_id = "t",
          .policy = "p",
          .cache = "miss",
          .usage_id = "u1"};
}

Finish Ended() {
  Finish finish;
  finish.reason = FinishReason::kStop;
  finish.prompt_tokens = 3;
  finish.completion_tokens = 4;
  finish.tier_met = "flex";
  finish.total_time = absl::Microseconds(1500);
  return finish;
}

TEST(AnswerFormatTest, AWholeChatAnswer) {
  const json answer = json::parse(AnswerFormat(Facts(true))
                                      .Whole({{"Hi \"you\"\n", {}}}, Ended(),
                                             {.times = {{"identify", absl::Microseconds(120)}},
                                              .guardrails = {{"card", "mask", "input", 2}}}));
  EXPECT_EQ(answer["id"], "chatcmpl-01j");
  EXPECT_EQ(answer["created"], 1767225600);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "Hi \"you\"\n");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["usage"], json({{"prompt_tokens", 3},
                                   {"completion_tokens", 4},
                                   {"total_tokens", 7},
                                   {"prompt_tokens_details", {{"cached_tokens", 0}}}}));
  EXPECT_TRUE(answer["floe"]["cost"].is_null());  // nothing is charged
  EXPECT_EQ(answer["service_tier"], "flex");
  EXPECT_EQ(answer["floe"]["seed"], 9007199254740993);
  EXPECT_EQ(
      answer["floe"]["guardrails"],
      json::parse(R"([{"rule": "card", "action": "mask", "direction": "input", "count": 2}])"));
  EXPECT_EQ(answer["floe"]["timings"]["identify_ms"], 0.12);
  EXPECT_EQ(answer["floe"]["timings"]["worker_total_ms"], 1.5);
}

TEST(AnswerFormatTest, WhatItCostIsDecimalTextWithItsLines) {
  AnswerOutcome outcome;
  outcome.cost = {"0.00000038", "priceBooks/b1", {{"input", 3, "0.0000001", "0.0000003"}}};
  outcome.cached_tokens = 2;
  AnswerFormat format(Facts(true));
  const json closing = json::parse(format.Closing(0, FinishReason::kStop, Ended(), outcome));
  EXPECT_EQ(closing["floe"]["cost"], json({{"amount", "0.00000038"},
                                           {"currency", "USD"},
                                           {"price_book", "priceBooks/b1"},
                                           {"lines",
                                            {{{"kind", "input"},
                                              {"quantity", 3},
                                              {"unit_price", "0.0000001"},
                                              {"amount", "0.0000003"}}}}}));
  EXPECT_EQ(closing["floe"]["usage_id"], "u1");
  EXPECT_EQ(json::parse(format.Usage(Ended(), outcome))["usage"]["prompt_tokens_details"],
            json({{"cached_tokens", 2}}));
}

TEST(AnswerFormatTest, DeltasCarryAnyText) {
  for (const bool chat : {true, false}) {
    AnswerFacts facts = Facts(chat);
    facts.model = "\\u0000floe\"\x01";  // what the format might mistake for its own mark
    AnswerFormat format(facts);
    const std::vector<std::string> texts = {"a", std::string(1, '\0') + "floe", "\"}]",
                                            "\u00e9\U0001F600\n\r\t"};
    for (const std::string& text : texts) {
      const json chunk = json::parse(format.Delta(0, {text, {}}));
      EXPECT_EQ(chunk["model"], facts.model);
      EXPECT_EQ(chat ? chunk["choices"][0]["delta"]["content"] : chunk["choices"][0]["text"], text);
      EXPECT_EQ(chunk["object"], chat ? "chat.completion.chunk" : "text_completion");
      EXPECT_EQ(format.Delta(0, {text, {}}).find('\n'), std::string::npos);  // one line: an event
    }
  }
}

TEST(AnswerFormatTest, BytesThatAreNoUtf8DoNotBreakAnAnswer) {
  const json chunk = json::parse(AnswerFormat(Facts(true)).Delta(0, {"a\xff", {}}));
  EXPECT_EQ(chunk["choices"][0]["delta"]["content"], "a\uFFFD");
}

TEST(AnswerFormatTest, UsageIsNullUntilItsOwnChunkAndAbsentWhenNotAsked) {
  AnswerFacts facts = Facts(true);
  EXPECT_FALSE(json::parse(AnswerFormat(facts).Delta(0, {"a", {}})).contains("usage"));
  facts.include_usage = true;
  AnswerFormat format(facts);
  EXPECT_TRUE(json::parse(format.Delta(0, {"a", {}})).at("usage").is_null());
  EXPECT_TRUE(json::parse(format.Opening(0)).at("usage").is_null());
  EXPECT_TRUE(
      json::parse(format.Closing(0, FinishReason::kStop, Ended(), {})).at("usage").is_null());
  EXPECT_EQ(json::parse(format.Usage(Ended(), {}))["usage"]["total_tokens"], 7);
}

TEST(AnswerFormatTest, ServerTimingIsInMilliseconds) {
  EXPECT_EQ(ServerTiming({{"identify", absl::Microseconds(120)}, {"policy", absl::Seconds(1)}}),
            "identify;dur=0.120, policy;dur=1000.000");
}

struct Expected {
  absl::Status status;
  int http_status;
  std::string type;
  std::string code;
};

TEST(ErrorTest, EveryCodeHasItsHttpStatus) {
  const std::vector<Expected> cases = {
      {absl::InvalidArgumentError("m"), 400, "invalid_request_error", "invalid_value"},
      {WithReason(absl::UnauthenticatedError("m"), "INVALID_API_KEY"), 401, "invalid_request_error",
       "invalid_api_key"},
      {absl::PermissionDeniedError("m"), 403, "permission_error", "permission_denied"},
      {WithReason(absl::NotFoundError("m"), "MODEL_NOT_FOUND"), 404, "invalid_request_error",
       "model_not_found"},
      {absl::ResourceExhaustedError("m"), 429, "rate_limit_error", "overloaded"},
      {absl::UnimplementedError("m"), 501, "not_supported_error", "not_supported"},
      {absl::UnavailableError("m"), 503, "unavailable_error", "unavailable"},
      {absl::DeadlineExceededError("m"), 504, "server_error", "timeout"},
      {WithReason(absl::InvalidArgumentError("m"), "BODY_TOO_LARGE", {{"http_status", "413"}}), 413,
       "invalid_request_error", "body_too_large"},
  };
  for (const Expected& expected : cases) {
    const ErrorAnswer answer = ToErrorAnswer(expected.status, "r");
    const json error = json::parse(answer.body)["error"];
    EXPECT_EQ(answer.http_status, expected.http_status) << expected.status;
    EXPECT_EQ(error["type"], expected.type);
    EXPECT_EQ(error["code"], expected.code);
    EXPECT_EQ(error["message"], "m");
    EXPECT_TRUE(error["param"].is_null());
    EXPECT_EQ(answer.retry_after_seconds.has_value(),
              expected.http_status == 429 || expected.http_status == 503);
  }
}

TEST(ErrorTest, WhatFailedInsideIsNotTold) {
  for (const absl::Status& status :
       {WithReason(absl::InternalError("/srv/secret"), "X", {{"param", "secret"}}),
        absl::DataLossError("/srv/secret"), absl::UnknownError("/srv/secret")}) {
    const ErrorAnswer answer = ToErrorAnswer(status, "req-1");
    EXPECT_EQ(answer.http_status, 500);
    EXPECT_THAT(answer.body, testing::Not(HasSubstr("secret")));
    EXPECT_THAT(answer.body, HasSubstr("req-1"));
  }
}

TEST(ErrorTest, DamagedBytesAreSaidToBeSoWithoutAPath) {
  const ErrorAnswer answer = ToErrorAnswer(absl::DataLossError("/srv/secret"), "r");
  EXPECT_EQ(json::parse(answer.body)["error"]["code"], "data_loss");
  EXPECT_THAT(answer.body, HasSubstr("floe models verify"));
}

TEST(ErrorTest, MessagesOfAnyBytesAreValidJson) {
  const absl::Status status = WithReason(absl::InvalidArgumentError("bad \xff \x01 \""),
                                         "INVALID_JSON", {{"param", "\xfe"}});
  EXPECT_TRUE(json::accept(ToErrorAnswer(status, "r").body));
}

}  // namespace
}  // namespace floe::gateway::openai
