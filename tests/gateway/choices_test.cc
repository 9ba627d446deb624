// Several answers, to one prompt and to several: their seeds, their order, what they use together.
#include "gateway/choices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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

Piece Token(std::string text, float log_probability = -1) {
  Piece piece{.ids = {1}, .text = text};
  piece.logprobs = {{.id = 1, .chosen = {text, log_probability}}};
  return piece;
}
Piece Ends(std::string text, int64_t tokens, std::string tier = "priority",
           float log_probability = -1) {
  Piece piece = Token(std::move(text), log_probability);
  piece.finish = Finish{.prompt_tokens = 3, .completion_tokens = tokens, .tier_met = tier};
  return piece;
}

class ChoicesTest : public testing::Test {
 protected:
  ChoicesTest() {
    ask_.model = "hamlet";
    ask_.prompts = {"text"};
    ask_.max_tokens = 8;
    fakes_.scripts = {{0, {Token("a"), Token("b"), Ends("c", 3)}},
                      {1, {Ends("x", 1, "flex")}},
                      {2, {Token("m"), Ends("n", 2, "default")}}};
  }
  absl::Status Run(int32_t choices, int32_t best_of) {
    ask_.choices = choices;
    ask_.best_of = best_of;
    sink_ = std::make_unique<FakeSink>(fakes_);
    request_ = Request();
    request_.what = "POST /v1/completions";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = sink_.get();
    const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
    absl::Status status = RunToEnd(pipeline.Run(request_));
    EXPECT_EQ(fakes_.streams, 0) << "a stream was left behind";
    return status;
  }
  std::string TextOf(int32_t choice) const {
    std::string text;
    for (const Piece& piece : sink_->pieces) {
      if (piece.choice == choice) text += piece.text;
    }
    return text;
  }

  test::FakeClock clock_;
  FakePorts fakes_;
  std::unique_ptr<FakeSink> sink_;
  Ask ask_;
  Request request_;
};

TEST(SeedTest, TheFirstAnswersSeedIsTheRequestsAndNoTwoAreTheSame) {
  EXPECT_EQ(SeedOf(42, 0), 42u);
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (int32_t index = 0; index < 16; ++index) seeds.insert(SeedOf(seed * 1000, index));
  }
  EXPECT_THAT(seeds, SizeIs(1600));
}

TEST_F(ChoicesTest, AnswersComeInTurnEachWithItsEndAndOneFinishForAll) {
  ASSERT_TRUE(Run(3, 3).ok());
  EXPECT_THAT(sink_->texts, ElementsAre("a", "x", "m", "b", "n", "c"));
  EXPECT_EQ(TextOf(0), "abc");
  EXPECT_EQ(TextOf(1), "x");
  EXPECT_EQ(TextOf(2), "mn");
  EXPECT_THAT(fakes_.asked_seeds, ElementsAre(42, SeedOf(42, 1), SeedOf(42, 2)));
  int ends = 0;
  for (const Piece& piece : sink_->pieces) {
    ends += piece.ended.has_value();
    EXPECT_EQ(piece.finish.has_value(), &piece == &sink_->pieces.back());
  }
  EXPECT_EQ(ends, 3);
  // The prompt is one, the answers are summed, and the lowest tier was met by all.
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.finish->completion_tokens, 6);
  EXPECT_EQ(request_.finish->tier_met, "flex");
  EXPECT_EQ(request_.meter.arrived, 6);
}

TEST_F(ChoicesTest, TheBestAreThoseWhoseTokensWereLikeliestOnAverage) {
  fakes_.scripts = {{0, {Token("a", -1), Ends("b", 2, "flex", -3)}},    // -2
                    {1, {Ends("x", 1, "flex", -1.5)}},                  // -1.5
                    {2, {Token("m", -0.5), Ends("n", 2, "flex", -1)}},  // -0.75
                    {3, {Ends("z", 1, "flex", -9)}}};
  ASSERT_TRUE(Run(2, 4).ok());
  EXPECT_TRUE(fakes_.asked_logprobs) << "to rank by";
  EXPECT_EQ(TextOf(0), "mn");
  EXPECT_EQ(TextOf(1), "x");
  EXPECT_THAT(sink_->pieces, SizeIs(2));
  EXPECT_THAT(sink_->logprobs, IsEmpty()) << "nobody asked for them";
  // Those that were not given were made, and are paid.
  EXPECT_EQ(request_.finish->completion_tokens, 6);
  EXPECT_EQ(request_.meter.arrived, 6);
}

TEST_F(ChoicesTest, AnAnswerThatARuleEndedIsNeverTheBest) {
  fakes_.SetPolicy("defaults: {output: [{words: [falcon], name: p, action: block}]}");
  fakes_.scripts = {{0, {Ends("falcon", 1, "flex", -0.1f)}}, {1, {Ends("dove", 1, "flex", -5)}}};
  ASSERT_TRUE(Run(1, 2).ok());
  EXPECT_EQ(TextOf(0), "dove");
}

TEST_F(ChoicesTest, ARuleEndsOneAnswerAndTheOthersGoOn) {
  fakes_.SetPolicy("defaults: {output: [{words: [falcon], name: p, action: block}]}");
  fakes_.scripts = {{0, {Token("a "), Token("falcon"), Token(" b"), Ends("c", 4)}},
                    {1, {Token("x "), Token("y "), Token("z "), Token("w "), Ends("v", 5)}}};
  ASSERT_TRUE(Run(2, 2).ok());
  EXPECT_EQ(TextOf(0), "a ");
  EXPECT_EQ(TextOf(1), "x y z w v");
  for (const Piece& piece : sink_->pieces) {
    if (!piece.ended) continue;
    EXPECT_EQ(*piece.ended, piece.choice == 0 ? FinishReason::kContentFilter : FinishReason::kStop);
  }
  EXPECT_EQ(request_.finish->reason, FinishReason::kContentFilter);
}

TEST_F(ChoicesTest, TheErrorOfOneIsTheEndOfAll) {
  fakes_.scripts[1] = {Token("x"), absl::UnavailableError("gone")};
  EXPECT_EQ(Run(3, 3).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChoicesTest, ASecondAnswerThatNoWorkerTakesRefusesTheRequest) {
  fakes_.start = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Run(2, 2).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(sink_->pieces, IsEmpty());
}

TEST_F(ChoicesTest, TokensAMinuteAreChargedForEveryAnswerThatIsMade) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 1000}}");
  ASSERT_TRUE(Run(1, 3).ok());
  EXPECT_EQ(fakes_.charged_tokens, 3 + 3 * 8);
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 26}}");
  const absl::Status refused = Run(1, 3);
  EXPECT_EQ(ReasonOf(refused)->reason, "REQUEST_TOO_LARGE");
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("best_of"));
}

TEST_F(ChoicesTest, SeveralAnswersAreNotTakenFromTheCache) {
  ask_.sampling.seed = 1;
  ASSERT_TRUE(Run(2, 2).ok());
  EXPECT_EQ(request_.cache, CacheUse::kOff);
  EXPECT_THAT(fakes_.answers, IsEmpty());
}

TEST_F(ChoicesTest, TheAuditHasWhatLeft) {
  fakes_.SetPolicy("defaults: {audit_text: true}");
  ASSERT_TRUE(Run(3, 3).ok());
  EXPECT_THAT(request_.answer_texts, ElementsAre("abc", "x", "mn"));
}

// Two prompts of two ids and of one.
class PromptsTest : public ChoicesTest {
 protected:
  PromptsTest() {
    ask_.prompts = {"ab", "c"};
    fakes_.encode = [](const Prompt& prompt) {
      const auto& text = std::get<std::string>(prompt);
      return std::vector<uint32_t>(text.begin(), text.end());
    };
    fakes_.scripts = {{0, {Token("1"), Of("2", 2)}}, {1, {Of("3", 1)}}};
  }
  static Piece Of(std::string text, int64_t prompt_tokens, float log_probability = -1) {
    Piece piece = Ends(std::move(text), 1, "priority", log_probability);
    piece.finish->prompt_tokens = prompt_tokens;
    return piece;
  }
};

TEST_F(PromptsTest, EachIsAnsweredAsIfItWereAloneAndCountedOnce) {
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_THAT(fakes_.asked_ids, ElementsAre(ElementsAre('a', 'b'), ElementsAre('c')));
  EXPECT_THAT(fakes_.asked_seeds, ElementsAre(42, 42));
  EXPECT_EQ(TextOf(0), "12");
  EXPECT_EQ(TextOf(1), "3");
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.finish->completion_tokens, 2);
  EXPECT_EQ(ChargedQuantities(request_),
            (UsageQuantities{.input_tokens = 3, .output_tokens = 3, .calls = 1}));
}

TEST_F(PromptsTest, AnswersToOnePromptStandSideBySide) {
  fakes_.scripts = {{0, {Of("1", 2)}}, {1, {Of("2", 2)}}, {2, {Of("3", 1)}}, {3, {Of("4", 1)}}};
  ASSERT_TRUE(Run(2, 2).ok());
  EXPECT_THAT(fakes_.asked_ids, ElementsAre(ElementsAre('a', 'b'), ElementsAre('a', 'b'),
                                            ElementsAre('c'), ElementsAre('c')));
  EXPECT_THAT(fakes_.asked_seeds, ElementsAre(42, SeedOf(42, 1), 42, SeedOf(42, 1)));
  EXPECT_EQ(TextOf(1), "2");
  EXPECT_EQ(TextOf(2), "3");
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
}

TEST_F(PromptsTest, TheBestAreChosenAmongTheAnswersToEach) {
  fakes_.scripts = {
      {0, {Of("1", 2, -2)}}, {1, {Of("2", 2, -3)}}, {2, {Of("3", 1, -9)}}, {3, {Of("4", 1, -8)}}};
  ASSERT_TRUE(Run(1, 2).ok());
  EXPECT_THAT(sink_->texts, ElementsAre("1", "4"));
  EXPECT_EQ(sink_->pieces[1].choice, 1);
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.finish->completion_tokens, 4);
}

TEST_F(PromptsTest, APromptToWhichNothingCameIsNotCharged) {
  fakes_.scripts[1] = {absl::UnavailableError("gone")};
  EXPECT_FALSE(Run(1, 1).ok());
  EXPECT_EQ(ChargedQuantities(request_), (UsageQuantities{.input_tokens = 2, .calls = 1}))
      << "in one piece, so the client had nothing";
  request_.ask.stream = true;
  EXPECT_EQ(ChargedQuantities(request_),
            (UsageQuantities{.input_tokens = 2, .output_tokens = 1, .calls = 1}));
}

TEST_F(PromptsTest, WhatWorkersHadCachedIsSummedOverThePrompts) {
  fakes_.scripts[0][0]->cached_prompt = 1;
  fakes_.scripts[1][0]->cached_prompt = 5;  // more than there is
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(ChargedQuantities(request_),
            (UsageQuantities{
                .input_tokens = 1, .cached_input_tokens = 2, .output_tokens = 3, .calls = 1}));
}

TEST_F(PromptsTest, TheOneThatIsWrongIsNamed) {
  const auto reason = [this] {
    const absl::Status status = Run(1, 1);
    return ReasonOf(status).value_or(ErrorReason{.reason = status.ToString()});
  };
  ask_.prompts = {"a", std::string(93, 'x')};  // and 8 of an answer: the context is 100
  EXPECT_EQ(reason().reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_EQ(reason().metadata.at("param"), "prompt[1]");
  EXPECT_THAT(std::string(Run(1, 1).message()), testing::HasSubstr("prompt[1]"));
  ask_.prompts = {"a", ""};
  EXPECT_EQ(reason().metadata.at("param"), "prompt[1]");
  ask_.prompts = {"a", "the falcon"};
  fakes_.SetPolicy("defaults: {input: [{words: [falcon], name: p, action: block}]}");
  EXPECT_EQ(reason().reason, "CONTENT_BLOCKED");
  EXPECT_EQ(reason().metadata.at("param"), "prompt[1]");
  EXPECT_EQ(fakes_.starts, 0);
}

TEST_F(PromptsTest, TokensAMinuteAreChargedForEveryPromptAndEveryAnswer) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 1000}}");
  fakes_.scripts = {{0, {Of("1", 2)}}, {1, {Of("2", 2)}}, {2, {Of("3", 1)}}, {3, {Of("4", 1)}}};
  ASSERT_TRUE(Run(2, 2).ok());
  EXPECT_EQ(fakes_.charged_tokens, 3 + 4 * 8);
}

TEST_F(PromptsTest, AnEchoIsOfThePromptThatIsAnswered) {
  ask_.echo = true;
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(TextOf(0), "ab12");
  EXPECT_EQ(TextOf(1), "c3");
}

TEST_F(PromptsTest, AllAnswersComeFromTheCacheOrNone) {
  ask_.sampling.seed = 1;
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss);
  fakes_.scripts.clear();
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_EQ(fakes_.starts, 2);
  EXPECT_EQ(TextOf(0), "12");
  EXPECT_EQ(TextOf(1), "3");
  EXPECT_EQ(ChargedQuantities(request_),
            (UsageQuantities{.cached_input_tokens = 3, .cached_output_tokens = 2, .calls = 1}));
  // The same ids, cut elsewhere.
  fakes_.scripts = {{2, {Of("x", 1)}}, {3, {Of("y", 2)}}};
  ask_.prompts = {"a", "bc"};
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss);
  EXPECT_EQ(TextOf(1), "y");
}

TEST_F(PromptsTest, AnswersOfWhichARuleChangedOneAreNotKept) {
  fakes_.SetPolicy("defaults: {output: [{words: [\"3\"], name: p, action: mask}]}");
  ask_.sampling.seed = 1;
  ASSERT_TRUE(Run(1, 1).ok());
  EXPECT_EQ(TextOf(1), "[p]");
  EXPECT_THAT(fakes_.answers, IsEmpty());
}

TEST_F(PromptsTest, PassagesAreForOneQuestion) {
  ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 4};
  const absl::Status refused = Run(1, 1);
  EXPECT_EQ(ReasonOf(refused)->metadata.at("param"), "floe.retrieval");
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("2 prompts"));
  // What a policy looks up by itself is left out, as of ids.
  fakes_.SetPolicy("defaults: {retrieval: {collection: handbook}}");
  ask_.retrieval = {};
  EXPECT_TRUE(Run(1, 1).ok());
  EXPECT_THAT(fakes_.searches, IsEmpty());
}

}  // namespace
}  // namespace floe::gateway
