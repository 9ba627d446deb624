// Fields that say how tokens are chosen and what is told of them, and those that nobody knows.
#include "gateway/openai/decoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/openai/log_probs.h"
#include "gateway/openai/parse.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

json Chat(const json& more = json::object()) {
  json body = {{"model", "hamlet"}, {"messages", {{{"role", "user"}, {"content", "Hello"}}}}};
  body.update(more);
  return body;
}
json Completion(const json& more = json::object()) {
  json body = {{"model", "hamlet"}, {"prompt", "Hello"}};
  body.update(more);
  return body;
}
absl::StatusOr<Ask> Parse(const json& body) {
  return body.contains("messages") ? ParseChat(body.dump()) : ParseCompletion(body.dump());
}
std::string Mistake(const json& body) {
  const auto ask = Parse(body);
  const auto reason = ReasonOf(ask.status());
  if (!reason) return std::string(ask.status().ToString());
  return absl::StrCat(reason->reason, " ", reason->metadata.at("param"));
}

TEST(DecodingTest, PenaltiesAndBiasesAreRead) {
  for (const auto& body : {Chat(), Completion()}) {
    json asked = body;
    asked.update({{"presence_penalty", 0.5},
                  {"frequency_penalty", -2},
                  {"repetition_penalty", 1.25},
                  {"logit_bias", {{"7", -100}, {"50256", 1.5}}}});
    const Sampling sampling = Parse(asked)->sampling;
    EXPECT_EQ(sampling.presence_penalty, 0.5f);
    EXPECT_EQ(sampling.frequency_penalty, -2.f);
    EXPECT_EQ(sampling.repetition_penalty, 1.25f);
    EXPECT_THAT(sampling.logit_bias, ElementsAre(Pair(7u, -100.f), Pair(50256u, 1.5f)));
  }
  const Sampling none = Parse(Chat())->sampling;
  EXPECT_EQ(none.presence_penalty, 0);
  EXPECT_EQ(none.repetition_penalty, 1);
  EXPECT_THAT(none.logit_bias, IsEmpty());
}

TEST(DecodingTest, MistakesAreNamed) {
  EXPECT_EQ(Mistake(Chat({{"presence_penalty", 2.1}})), "INVALID_VALUE presence_penalty");
  EXPECT_EQ(Mistake(Chat({{"frequency_penalty", "1"}})), "INVALID_TYPE frequency_penalty");
  EXPECT_EQ(Mistake(Chat({{"repetition_penalty", 0}})), "INVALID_VALUE repetition_penalty");
  for (const json& bias : {json::array({1}), json{{"the", 1}}, json{{"-1", 1}}, json{{"1", 101}},
                           json{{"1", "2"}}, json{{"4294967296", 1}}}) {
    EXPECT_EQ(Mistake(Chat({{"logit_bias", bias}})), "INVALID_VALUE logit_bias") << bias;
  }
  json many;
  for (size_t i = 0; i <= kMaxLogitBiases; ++i) many[absl::StrCat(i)] = 1;
  EXPECT_EQ(Mistake(Chat({{"logit_bias", many}})), "INVALID_VALUE logit_bias");
  EXPECT_EQ(Mistake(Chat({{"logprobs", 5}})), "INVALID_TYPE logprobs");
  EXPECT_EQ(Mistake(Chat({{"top_logprobs", 3}})), "INVALID_VALUE top_logprobs");
  EXPECT_EQ(Mistake(Chat({{"logprobs", true}, {"top_logprobs", 21}})),
            "INVALID_VALUE top_logprobs");
  EXPECT_EQ(Mistake(Completion({{"logprobs", true}})), "INVALID_TYPE logprobs");
  EXPECT_EQ(Mistake(Completion({{"logprobs", 21}})), "INVALID_VALUE logprobs");
  EXPECT_EQ(Mistake(Chat({{"floe", {{"logprobs", "raw"}}}})), "INVALID_VALUE floe.logprobs");
  EXPECT_EQ(Mistake(Completion({{"echo", 1}})), "INVALID_TYPE echo");
  EXPECT_EQ(Mistake(Completion({{"echo", true}, {"structured_outputs", {{"regex", "a"}}}})),
            "INVALID_VALUE echo");
}

TEST(DecodingTest, ChatsAskForLogProbabilitiesByTwoFieldsCompletionsByOne) {
  EXPECT_FALSE(Parse(Chat({{"logprobs", false}}))->logprobs);
  EXPECT_EQ(Parse(Chat({{"logprobs", true}}))->logprobs->top, 0);
  EXPECT_EQ(Parse(Chat({{"logprobs", true}, {"top_logprobs", 20}}))->logprobs->top, 20);
  EXPECT_FALSE(Parse(Completion({{"logprobs", nullptr}}))->logprobs);
  EXPECT_EQ(Parse(Completion({{"logprobs", 0}}))->logprobs->top, 0);
  const Ask five = Parse(Completion({{"logprobs", 5}})).value();
  EXPECT_EQ(five.logprobs->top, 5);
  EXPECT_FALSE(five.logprobs->sampled);
  EXPECT_TRUE(
      Parse(Chat({{"logprobs", true}, {"floe", {{"logprobs", "sampled"}}}}))->logprobs->sampled);
  EXPECT_FALSE(Parse(Chat({{"floe", {{"logprobs", "sampled"}}}}))->logprobs);
}

TEST(DecodingTest, AnEchoWithLogProbabilitiesTellsThePromptAndNeedsNoAnswer) {
  const Ask told = Parse(Completion({{"echo", true}, {"logprobs", 1}, {"max_tokens", 0}})).value();
  EXPECT_TRUE(told.tells_prompt());
  EXPECT_EQ(told.max_tokens, 0);
  EXPECT_TRUE(Parse(Completion({{"echo", true}, {"logprobs", 0}}))->tells_prompt());
  EXPECT_FALSE(Parse(Completion({{"echo", true}}))->tells_prompt());
  EXPECT_FALSE(Parse(Completion({{"logprobs", 1}}))->tells_prompt());
  EXPECT_EQ(Mistake(Completion({{"max_tokens", 0}})), "INVALID_VALUE max_tokens");
  EXPECT_EQ(Mistake(Completion({{"max_tokens", 0}, {"echo", true}})), "INVALID_VALUE max_tokens");
  EXPECT_EQ(Mistake(Completion({{"max_tokens", 0}, {"logprobs", 1}})), "INVALID_VALUE max_tokens");
  EXPECT_EQ(Mistake(Completion({{"max_tokens", 0}, {"echo", true}, {"logprobs", 1}, {"n", 2}})),
            "INVALID_VALUE max_tokens");
  EXPECT_EQ(Mistake(Chat({{"max_tokens", 0}})), "INVALID_VALUE max_tokens");
}

TEST(DecodingTest, SeveralAnswersAreAskedForAndBounded) {
  EXPECT_EQ(Parse(Chat())->choices, 1);
  EXPECT_EQ(Parse(Chat({{"n", 3}}))->choices, 3);
  EXPECT_EQ(Parse(Chat({{"n", 3}}))->best_of, 3);
  const Ask best = Parse(Completion({{"n", 2}, {"best_of", 5}})).value();
  EXPECT_EQ(best.choices, 2);
  EXPECT_EQ(best.best_of, 5);
  EXPECT_EQ(Parse(Completion({{"n", 2}, {"best_of", 2}, {"stream", true}}))->best_of, 2);
  EXPECT_EQ(Mistake(Chat({{"n", 0}})), "INVALID_VALUE n");
  EXPECT_EQ(Mistake(Chat({{"n", 17}})), "INVALID_VALUE n");
  EXPECT_EQ(Mistake(Completion({{"n", 2}, {"best_of", 1}})), "INVALID_VALUE best_of");
  EXPECT_EQ(Mistake(Completion({{"best_of", 17}})), "INVALID_VALUE best_of");
  EXPECT_EQ(Mistake(Completion({{"best_of", 2}, {"stream", true}})), "INVALID_VALUE best_of");
}

TEST(DecodingTest, MaxCostIsDollarsAsText) {
  EXPECT_EQ(Parse(Chat())->max_cost, "");
  EXPECT_EQ(Parse(Chat({{"max_cost", "0.0025"}}))->max_cost, "0.0025");
  EXPECT_EQ(Mistake(Chat({{"max_cost", 0.1}})), "INVALID_TYPE max_cost");
  for (const char* amount : {"", "-1", "1e3", "$1", "0.1234567890123", ".5", "1."}) {
    EXPECT_EQ(Mistake(Chat({{"max_cost", amount}})), "INVALID_VALUE max_cost") << amount;
  }
}

TEST(DecodingTest, FieldsThatNobodyKnowsAreListedWithTheirPaths) {
  json body = Chat({{"temprature", 1},
                    {"stream", true},
                    {"stream_options", {{"include_usag", true}}},
                    {"floe", {{"x", 1}, {"retrieval", {{"collection", "c"}, {"k", 5}}}}}});
  body["messages"][0]["weight"] = 1;
  const auto ask = Parse(body);
  ASSERT_TRUE(ask.ok()) << ask.status();
  EXPECT_THAT(ask->ignored,
              testing::UnorderedElementsAre("temprature", "stream_options.include_usag", "floe.x",
                                            "floe.retrieval.k", "messages[0].weight"));
  EXPECT_THAT(Parse(Chat({{"user", "u"}}))->ignored, IsEmpty());
  EXPECT_THAT(Parse(Completion({{"max_completion_tokens", 4}}))->ignored,
              ElementsAre("max_completion_tokens"));
}

TEST(DecodingTest, NamesThatNobodyKnowsCannotBreakAHeaderNorFillIt) {
  const auto evil = Parse(Chat({{"a\r\nSet-Cookie: b=c", 1}}));
  ASSERT_TRUE(evil.ok());
  ASSERT_THAT(evil->ignored, SizeIs(1));
  for (const char c : evil->ignored[0]) EXPECT_TRUE(absl::ascii_isalnum(c) || c == '?' || c == '-');
  json many = Chat();
  for (int i = 0; i < 1000; ++i) many[absl::StrCat("field", std::string(500, 'x'), i)] = i;
  const std::vector<std::string> listed = Parse(many)->ignored;
  EXPECT_THAT(listed, SizeIs(FieldReader::kMaxIgnored + 1));
  for (const std::string& name : listed) EXPECT_LE(name.size(), FieldReader::kMaxIgnoredBytes);
  EXPECT_EQ(listed.back(), "+980");
}

std::vector<TokenLogProbs> Tokens() {
  return {{.id = 1, .chosen = {"Hé", -0.5}, .top = {{"Hé", -0.5}, {"\xe2\x82", -2}}},
          {.id = 2, .chosen = {"\xc3", -INFINITY}},
          {.id = 3, .chosen = {"<|x|>", -1}, .in_text = false},
          {.id = 4, .chosen = {"!", NAN}}};
}

TEST(LogProbsTest, ChatsHaveTokensWithTheirBytesAndOthersAtTheirPlace) {
  int64_t offset = 0;
  const json given =
      json::parse(LogProbsOf(Tokens(), /*chat=*/true, offset)
                      .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  ASSERT_THAT(given["content"], SizeIs(4));
  EXPECT_EQ(given["content"][0], json::parse(R"({
      "token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169], "top_logprobs": [
        {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169]},
        {"token": "�", "logprob": -2.0, "bytes": [226, 130]}]})"));
  EXPECT_EQ(given["content"][1]["logprob"], -9999.0);  // JSON has no infinity
  EXPECT_EQ(given["content"][3]["logprob"], -9999.0);
}

TEST(LogProbsTest, CompletionsHaveColumnsAndOffsetsInCharacters) {
  int64_t offset = 10;
  const json given = json(LogProbsOf(Tokens(), /*chat=*/false, offset));
  EXPECT_EQ(given["tokens"], json({"Hé", "bytes:\\xc3", "<|x|>", "!"}));
  EXPECT_EQ(given["token_logprobs"], json({-0.5, -9999.0, -1.0, -9999.0}));
  EXPECT_EQ(given["top_logprobs"][0], json({{"Hé", -0.5}, {"bytes:\\xe2\\x82", -2.0}}));
  EXPECT_EQ(given["text_offset"], json({10, 12, 13, 13}));
  EXPECT_EQ(offset, 14);  // where the next part goes on
}

TEST(LogProbsTest, NothingSaysHowLikelyTheFirstTokenOfAPromptIs) {
  int64_t offset = 0;
  const std::vector<TokenLogProbs> tokens = {{.id = 1, .chosen = {"He", 0}, .first = true},
                                             {.id = 2, .chosen = {"y", -1}, .top = {{"y", -1}}}};
  const json given = json(LogProbsOf(tokens, /*chat=*/false, offset));
  EXPECT_EQ(given["token_logprobs"], json({nullptr, -1.0}));
  EXPECT_EQ(given["top_logprobs"], json({nullptr, {{"y", -1.0}}}));
  EXPECT_EQ(given["text_offset"], json({0, 2}));
}

}  // namespace
}  // namespace floe::gateway::openai
