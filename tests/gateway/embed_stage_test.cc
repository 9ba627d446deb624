// Texts that become vectors: their request, and the stages that they pass.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/openai/answer_format.h"
#include "gateway/openai/parse.h"
#include "gateway/settlement.h"
#include "gateway/stages.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Ids = std::vector<uint32_t>;

absl::StatusOr<Ask> Parse(json more) {
  json body = {{"model", "hamlet"}, {"input", "Hello"}};
  body.update(more);
  return openai::ParseEmbedding(body.dump());
}
std::string Mistake(json more) {
  const auto ask = Parse(std::move(more));
  const auto reason = ReasonOf(ask.status());
  if (!reason) return std::string(ask.status().ToString());
  return absl::StrCat(reason->reason, " ", reason->metadata.at("param"));
}

TEST(EmbeddingParseTest, InputsAreTextsOrIdsAloneOrInAList) {
  const auto inputs = [](json input) { return Parse({{"input", input}})->prompts; };
  EXPECT_THAT(inputs("x"), ElementsAre(Prompt("x")));
  EXPECT_THAT(inputs({"x", "y"}), ElementsAre(Prompt("x"), Prompt("y")));
  EXPECT_THAT(inputs({1, 2}), ElementsAre(Prompt(Ids{1, 2})));
  EXPECT_THAT(inputs(json::array({json::array({1, 2}), json::array({3})})),
              ElementsAre(Prompt(Ids{1, 2}), Prompt(Ids{3})));
}

TEST(EmbeddingParseTest, TheRestIsReadAndMistakesAreNamed) {
  const Ask ask = Parse({{"encoding_format", "base64"},
                         {"service_tier", "flex"},
                         {"metadata", {{"a", "b"}}},
                         {"max_cost", "0.1"},
                         {"temperature", 1},
                         {"floe", {{"pooling", "last"}, {"workflow_id", "w"}, {"cache", "off"}}}})
                      .value();
  EXPECT_TRUE(ask.embedding->base64);
  EXPECT_EQ(ask.embedding->pooling, EmbeddingAsk::Pooling::kLast);
  EXPECT_EQ(ask.tier, ServiceTier::kFlex);
  EXPECT_EQ(ask.tags.at("a"), "b");
  EXPECT_EQ(ask.max_cost, "0.1");
  EXPECT_EQ(ask.workflow.id, "w");
  EXPECT_FALSE(ask.is_chat());
  EXPECT_THAT(ask.ignored, testing::UnorderedElementsAre("temperature", "floe.cache"));
  EXPECT_EQ(Mistake({{"input", nullptr}}), "MISSING_REQUIRED_PARAMETER input");
  EXPECT_EQ(Mistake({{"input", 5}}), "INVALID_TYPE input");
  EXPECT_EQ(Mistake({{"input", json::array()}}), "INVALID_VALUE input");
  EXPECT_EQ(Mistake({{"input", {"a", 5}}}), "INVALID_TYPE input[1]");
  EXPECT_EQ(Mistake({{"input", {"a", {1, -1}}}}), "INVALID_VALUE input[1]");
  EXPECT_EQ(Mistake({{"input", std::vector<std::string>(2049, "a")}}), "INVALID_VALUE input");
  EXPECT_EQ(Mistake({{"encoding_format", "hex"}}), "INVALID_VALUE encoding_format");
  EXPECT_EQ(Parse({{"dimensions", 8}})->embedding->dimensions, 8);
  EXPECT_EQ(Mistake({{"dimensions", 0}}), "INVALID_VALUE dimensions");
  EXPECT_EQ(Mistake({{"dimensions", "8"}}), "INVALID_TYPE dimensions");
  EXPECT_EQ(Mistake({{"floe", {{"pooling", "max"}}}}), "INVALID_VALUE floe.pooling");
}

TEST(EmbeddingFormatTest, Base64IsLittleEndianFloats) {
  const openai::AnswerFacts facts{.model = "hamlet"};
  const Finish finish{.prompt_tokens = 5};
  const std::vector<std::vector<float>> vectors = {{1, -2}, {0.5, 0}};
  const json plain = json::parse(openai::EmbeddingsObject(facts, vectors, false, finish, {}));
  EXPECT_EQ(plain["data"][1],
            json({{"object", "embedding"}, {"index", 1}, {"embedding", {0.5, 0.0}}}));
  EXPECT_EQ(plain["usage"], json({{"prompt_tokens", 5}, {"total_tokens", 5}}));
  const json packed = json::parse(openai::EmbeddingsObject(facts, vectors, true, finish, {}));
  EXPECT_EQ(packed["data"][0]["embedding"], "AACAPwAAAMA=");
}

class EmbedStageTest : public testing::Test {
 protected:
  EmbedStageTest() {
    fakes_.vectors = std::vector<std::vector<float>>{{1, 0}, {0, 1}};
    fakes_.encode = [](const Prompt& prompt) {
      const auto* text = std::get_if<std::string>(&prompt);
      if (text == nullptr) return std::get<Ids>(prompt);
      return Ids(text->begin(), text->end());
    };
    ask_.model = "hamlet";
    ask_.prompts = {"ab", Ids{7}};
    ask_.embedding.emplace();
  }
  absl::Status Run() {
    request_ = Request();
    request_.what = "POST /v1/embeddings";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = &sink_;
    const Pipeline pipeline = EmbeddingPipeline(fakes_.Ports(clock_));
    return RunToEnd(pipeline.Run(request_));
  }
  ErrorReason ReasonOfRun() {
    const absl::Status status = Run();
    return ReasonOf(status).value_or(ErrorReason{.reason = status.ToString()});
  }

  test::FakeClock clock_;
  FakePorts fakes_;
  FakeSink sink_{fakes_};
  Ask ask_;
  Request request_;
};

TEST_F(EmbedStageTest, EachInputIsCountedAndGivenToTheWorkerApart) {
  ask_.embedding->pooling = EmbeddingAsk::Pooling::kLast;
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.embedded_ids, ElementsAre('a', 'b', 7));
  EXPECT_THAT(fakes_.embedded_ends, ElementsAre(2, 3));
  EXPECT_EQ(fakes_.asked_pooling, EmbeddingAsk::Pooling::kLast);
  EXPECT_THAT(request_.vectors, SizeIs(2));
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.priced.operation, "embedding");
  EXPECT_EQ(ChargedQuantities(request_), (UsageQuantities{.input_tokens = 3, .calls = 1}));
}

TEST_F(EmbedStageTest, InputsThatDoNotFitAreNamed) {
  ask_.prompts = {"ab", std::string(101, 'x')};  // the context is 100
  ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_EQ(reason.metadata.at("param"), "input[1]");
  ask_.prompts = {"", "ab"};
  reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "INVALID_VALUE");
  EXPECT_EQ(reason.metadata.at("param"), "input[0]");
  EXPECT_EQ(fakes_.embeds, 0);
}

TEST_F(EmbedStageTest, VectorsMayBeShorterThanTheModelsAndNotLonger) {
  for (const int64_t dimensions : {0, 1, 2}) {
    ask_.embedding->dimensions = dimensions;
    ASSERT_TRUE(Run().ok());
    EXPECT_EQ(fakes_.asked_dimensions, dimensions);
  }
  ask_.embedding->dimensions = 3;
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "INVALID_VALUE");
  EXPECT_EQ(reason.metadata.at("param"), "dimensions");
  EXPECT_THAT(std::string(Run().message()), HasSubstr("1 to 2"));
  EXPECT_EQ(fakes_.embeds, 3);
}

TEST_F(EmbedStageTest, RulesHoldForEveryInput) {
  fakes_.SetPolicy(
      "defaults: {input: [{detector: email, action: mask}, "
      "{words: [blue falcon], name: p, action: block}]}");
  ask_.prompts = {"to bo@example.com"};
  fakes_.vectors = std::vector<std::vector<float>>{{1, 0}};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(std::string(fakes_.embedded_ids.begin(), fakes_.embedded_ids.end()), "to [email]");
  EXPECT_THAT(request_.findings, SizeIs(1));
  ask_.prompts = {"a", "the blue falcon"};
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "CONTENT_BLOCKED");
  EXPECT_EQ(reason.metadata.at("param"), "input[1]");
  EXPECT_EQ(fakes_.embeds, 1);
}

TEST_F(EmbedStageTest, LimitsModelsAndRolesHoldAsForAnswers) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 1000}}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.charged_tokens, 3);
  EXPECT_THAT(fakes_.settlements, IsEmpty()) << "nothing was charged too much";
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 2}}");
  EXPECT_EQ(ReasonOfRun().reason, "REQUEST_TOO_LARGE");
  fakes_.SetPolicy("defaults: {models: [other]}");
  EXPECT_EQ(ReasonOfRun().reason, "MODEL_NOT_ALLOWED");
  fakes_.SetPolicy("");
  fakes_.identity->role = Role::kViewer;
  EXPECT_EQ(ReasonOfRun().reason, "ROLE_TOO_LOW");
}

TEST_F(EmbedStageTest, WhatAWorkerDoesNotGiveCostsNothing) {
  fakes_.vectors = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Run().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ChargedQuantities(request_), UsageQuantities());
}

}  // namespace
}  // namespace floe::gateway
