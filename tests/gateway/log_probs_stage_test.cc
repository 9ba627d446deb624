// Log-probabilities and echoed prompts on their way through the stages: nothing that a rule changes
// or holds back is told by another way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "gateway/settlement.h"
#include "gateway/stages.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Piece Token(std::string text, bool last = false) {
  Piece piece{.ids = {1}, .text = text};
  piece.logprobs = {{.id = 1, .chosen = {text, -1}, .top = {{text, -1}, {"secret", -2}}}};
  if (last) piece.finish = Finish{};
  return piece;
}

class LogProbsStageTest : public testing::Test {
 protected:
  LogProbsStageTest() {
    fakes_.pieces = {Token("call "), Token("blue "), Token("falcon"), Token(" now", true)};
    ask_.model = "hamlet";
    ask_.prompts = {"text"};
    ask_.logprobs = LogProbsAsk{.top = 2};
  }
  absl::Status Run() {
    sink_ = std::make_unique<FakeSink>(fakes_);
    request_ = Request();
    request_.what = "POST /v1/completions";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = sink_.get();
    const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
    return RunToEnd(pipeline.Run(request_));
  }
  std::string TextOut() const { return absl::StrJoin(sink_->texts, ""); }
  std::vector<std::string> Told() const {
    std::vector<std::string> tokens;
    for (const TokenLogProbs& one : sink_->logprobs) tokens.push_back(one.chosen.token);
    return tokens;
  }

  test::FakeClock clock_;
  FakePorts fakes_;
  std::unique_ptr<FakeSink> sink_;
  Ask ask_;
  Request request_;
};

TEST_F(LogProbsStageTest, WithoutRulesTheyComeWithTheirTokens) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_logprobs->top, 2);
  EXPECT_THAT(sink_->texts, ElementsAre("call ", "blue ", "falcon", " now"));
  EXPECT_THAT(Told(), ElementsAre("call ", "blue ", "falcon", " now"));
  EXPECT_THAT(sink_->logprobs[0].top, SizeIs(2));
}

TEST_F(LogProbsStageTest, RulesThatOnlyFlagHoldNothingBack) {
  fakes_.SetPolicy("defaults: {output: [{words: [blue falcon], name: p, action: flag}]}");
  ask_.stream = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(Told(), SizeIs(4));
  EXPECT_THAT(sink_->logprobs[0].top, SizeIs(2));
}

TEST_F(LogProbsStageTest, WhatARuleMasksOrBlocksIsNotToldByProbabilities) {
  for (const char* action : {"mask", "block"}) {
    fakes_.SetPolicy(std::string("defaults: {output: [{words: [blue falcon], name: p, action: ") +
                     action + "}]}");
    for (const bool stream : {true, false}) {
      ask_.stream = stream;
      ASSERT_TRUE(Run().ok());
      EXPECT_EQ(TextOut(), std::string_view(action) == "mask" ? "call [p] now" : "call ");
      EXPECT_THAT(Told(), IsEmpty()) << action << stream;
    }
  }
}

TEST_F(LogProbsStageTest, WhereARuleMightHaveMatchedTokensOfTheAnswerAreToldAndNoOthers) {
  fakes_.SetPolicy("defaults: {output: [{words: [secret], name: p, action: mask}]}");
  ask_.stream = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(Told(), ElementsAre("call ", "blue ", "falcon", " now"));
  for (const TokenLogProbs& one : sink_->logprobs) EXPECT_THAT(one.top, IsEmpty());
}

TEST_F(LogProbsStageTest, AnAnswerWithThemIsNotTakenFromTheCache) {
  ask_.sampling.seed = 1;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Run().ok());
    EXPECT_EQ(request_.cache, CacheUse::kOff);
  }
  EXPECT_EQ(fakes_.starts, 2);
  EXPECT_THAT(fakes_.answers, IsEmpty());
}

TEST_F(LogProbsStageTest, AnEchoIsThePromptAsTheRulesLeaveIt) {
  ask_.logprobs.reset();
  ask_.echo = true;
  ask_.prompts = {"write to bo@example.com: "};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "write to bo@example.com: call blue falcon now");
  fakes_.SetPolicy("defaults: {input: [{detector: email, action: mask}]}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "write to [email]: call blue falcon now");
}

TEST_F(LogProbsStageTest, AnEchoOfIdsIsWhatTheySay) {
  ask_.logprobs.reset();
  ask_.echo = true;
  ask_.prompts = {std::vector<uint32_t>{1, 2}};
  fakes_.decoded = "Elsinore: ";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "Elsinore: call blue falcon now");
}

TEST_F(LogProbsStageTest, ARuleOverAnswersSeesWhatBeginsInTheEcho) {
  ask_.logprobs.reset();
  ask_.echo = true;
  ask_.prompts = {"the code: blue "};
  fakes_.pieces = {Text("falcon"), Last("!")};
  fakes_.SetPolicy("defaults: {output: [{words: [blue falcon], name: p, action: mask}]}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "the code: [p]!");
}

TEST_F(LogProbsStageTest, AnEchoLeavesOutThePassages) {
  ask_.logprobs.reset();
  ask_.echo = true;
  ask_.prompts = {"Who? "};
  ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 4};
  fakes_.passages = std::vector<Passage>{{.document = "d", .text = "A passage."}};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "Who? call blue falcon now");
}

TEST_F(LogProbsStageTest, ACachedAnswerIsTheSameWithAnEcho) {
  ask_.logprobs.reset();
  ask_.prompts = {"Who? "};
  ask_.sampling.seed = 1;
  ASSERT_TRUE(Run().ok());
  ask_.echo = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_EQ(TextOut(), "Who? call blue falcon now");
}

// An echo of "ab", of whose tokens is told, too.
class EchoLogProbsTest : public LogProbsStageTest {
 protected:
  EchoLogProbsTest() {
    ask_.prompts = {"ab"};
    ask_.echo = true;
    fakes_.ids = std::vector<uint32_t>{7, 8};
    fakes_.pieces = {First("c"), Token("d", true)};
  }
  static std::vector<TokenLogProbs> OfPrompt() {
    return {{.id = 7, .chosen = {"a", 0}, .first = true}, {.id = 8, .chosen = {"b", -3}}};
  }
  static Piece First(std::string text) {
    Piece piece = Token(std::move(text));
    piece.prompt_logprobs = OfPrompt();
    return piece;
  }
};

TEST_F(EchoLogProbsTest, TheyBeginWithThoseOfThePrompt) {
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(fakes_.asked_prompt_logprobs.at(0));
  EXPECT_EQ(TextOut(), "abcd");
  EXPECT_THAT(Told(), ElementsAre("a", "b", "c", "d"));
  EXPECT_TRUE(sink_->logprobs[0].first);
}

TEST_F(EchoLogProbsTest, WithoutAnAnswerThePromptIsChargedAllTheSame) {
  ask_.max_tokens = 0;
  fakes_.pieces = {Piece{.prompt_logprobs = OfPrompt(),
                         .finish = Finish{.reason = FinishReason::kLength, .prompt_tokens = 2}}};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_max_tokens, 0);
  EXPECT_EQ(TextOut(), "ab");
  EXPECT_THAT(Told(), ElementsAre("a", "b"));
  EXPECT_EQ(ChargedQuantities(request_), (UsageQuantities{.input_tokens = 2, .calls = 1}));
}

TEST_F(EchoLogProbsTest, OneAnswerAsksForAllToItsPromptAndNoneIsRankedByThem) {
  Piece likely = Token("x", true);
  likely.logprobs[0].chosen.log_probability = -0.5;
  fakes_.scripts = {{0, {First("c"), Token("d", true)}}, {1, {likely}}};
  ask_.choices = 2;
  ask_.best_of = 2;
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.asked_prompt_logprobs, ElementsAre(true, false));
  EXPECT_THAT(Told(), testing::UnorderedElementsAre("a", "b", "c", "d", "a", "b", "x"));
  EXPECT_DOUBLE_EQ(request_.likelihoods[0].mean(), -1);
  EXPECT_DOUBLE_EQ(request_.likelihoods[1].mean(), -0.5);
}

TEST_F(EchoLogProbsTest, WhatARuleChangesInThePromptIsNotToldByProbabilities) {
  fakes_.SetPolicy("defaults: {output: [{words: [ab], name: p, action: mask}]}");
  ask_.prompts = {"ab "};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "[p] cd");
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(EchoLogProbsTest, PassagesWouldStandBeforeWhatIsTold) {
  ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 4};
  EXPECT_EQ(ReasonOf(Run())->metadata.at("param"), "floe.retrieval");
  fakes_.SetPolicy("defaults: {retrieval: {collection: handbook}}");
  ask_.retrieval = {};
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.searches, IsEmpty());
}

}  // namespace
}  // namespace floe::gateway
