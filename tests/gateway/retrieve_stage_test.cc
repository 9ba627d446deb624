// Passages in front of the question, over ports that the test answers for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/thread_pool.hpp>
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/audit/record.h"
#include "gateway/context/context.h"
#include "gateway/stages.h"
#include "gateway/stages/retrieve.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Passage Said(std::string text, double score = 1) {
  return {"teams/nlp/collections/handbook/documents/d", 10, 10 + static_cast<int64_t>(text.size()),
          score, std::move(text)};
}

class RetrieveStageTest : public testing::Test {
 protected:
  RetrieveStageTest() {
    fakes_.pieces = {Last("x")};
    fakes_.passages = std::vector<Passage>{Said("dogs bark", 3), Said("cats purr", 2)};
    ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 7};
  }
  absl::Status Run() {
    FakeSink sink(fakes_);
    request_ = Request();
    request_.usage_id = "u1";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = &sink;
    const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
    return RunToEnd(pipeline.Run(request_));
  }
  ErrorReason ReasonOfRun() {
    const absl::Status status = Run();
    return ReasonOf(status).value_or(ErrorReason{.reason = status.ToString()});
  }
  std::string Seen() const { return std::get<std::string>(fakes_.asked_prompt); }

  test::FakeClock clock_;
  FakePorts fakes_;
  Ask ask_{.model = "hamlet", .prompts = {"what do dogs do?"}, .max_tokens = 20};
  Request request_;
};

TEST_F(RetrieveStageTest, PassagesStandBeforeTheQuestionAndAreCitedInTheirOrder) {
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.searches,
              ElementsAre(FakePorts::Asked{"nlp", "handbook", "what do dogs do?", 7}));
  EXPECT_EQ(Seen(), WithPassages({"dogs bark", "cats purr"}, "what do dogs do?"));
  ASSERT_TRUE(request_.retrieved);
  ASSERT_THAT(request_.retrieved->citations, SizeIs(2));
  EXPECT_EQ(request_.retrieved->citations[0].document,
            "teams/nlp/collections/handbook/documents/d");
  EXPECT_EQ(request_.retrieved->citations[0].begin, 10);
  EXPECT_EQ(request_.retrieved->citations[0].end, 19);
  EXPECT_EQ(request_.retrieved->citations[1].score, 2);
  const auto audit = nlohmann::json::parse(AuditLine(request_, {}));
  EXPECT_EQ(audit["retrieval"]["passages"].size(), 2u);
  EXPECT_THAT(audit.dump(), Not(HasSubstr("dogs bark")));
}

TEST_F(RetrieveStageTest, AConversationIsAskedByItsLastWordsAndTheRestStays) {
  ask_.prompts = {std::vector<Message>{{"system", "be kind"}, {"user", "what do cats do?"}}};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.searches.at(0).query, "what do cats do?");
  const auto& seen = std::get<std::vector<Message>>(fakes_.asked_prompt);
  ASSERT_THAT(seen, SizeIs(2));
  EXPECT_EQ(seen[0].content, "be kind");
  EXPECT_THAT(seen[1].content, HasSubstr("dogs bark"));
}

TEST_F(RetrieveStageTest, NothingIsLookedUpUnlessItIsAskedFor) {
  ask_.retrieval = {};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.searches, IsEmpty());
  EXPECT_FALSE(request_.retrieved);
  EXPECT_EQ(Seen(), "what do dogs do?");
}

TEST_F(RetrieveStageTest, ThePolicysDefaultHoldsUnlessTheRequestSaysOtherwise) {
  fakes_.SetPolicy("defaults: {retrieval: {collection: wiki, top_k: 2}}");
  ask_.retrieval = {};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.searches.at(0), (FakePorts::Asked{"nlp", "wiki", "what do dogs do?", 2}));
  ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 7};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.searches.at(1).collection, "handbook");
  ask_.retrieval = {.kind = RetrievalAsk::Kind::kOff};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.searches, SizeIs(2));
}

TEST_F(RetrieveStageTest, WithoutAQuestionOnlyTheClientsOwnWishIsAMistake) {
  const std::vector<Message> ended = {{"user", "hi"}, {"assistant", "hello"}};
  for (const Prompt& prompt : {Prompt(std::vector<uint32_t>{1, 2}), Prompt(ended)}) {
    fakes_.SetPolicy("");
    ask_.prompts = {prompt};
    ask_.retrieval = {RetrievalAsk::Kind::kAsked, "handbook", 7};
    EXPECT_EQ(ReasonOfRun().metadata.at("param"), "floe.retrieval");
    fakes_.SetPolicy("defaults: {retrieval: {collection: wiki}}");
    ask_.retrieval = {};
    EXPECT_TRUE(Run().ok());
  }
  EXPECT_THAT(fakes_.searches, IsEmpty());
}

TEST_F(RetrieveStageTest, TheQuestionIsSearchedAsItIsAfterMasking) {
  fakes_.SetPolicy("defaults: {input: [{detector: card, action: mask}]}");
  ask_.prompts = {"who has 4111 1111 1111 1111?"};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.searches.at(0).query, "who has [card]?");
}

TEST_F(RetrieveStageTest, RulesHoldForPassagesAndABlockedOneIsLeftOut) {
  fakes_.SetPolicy(R"(
defaults:
  input: [{words: [bark], name: noise, action: block}, {words: [purr], name: soft, action: mask}])");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Seen(), WithPassages({"cats [soft]"}, "what do dogs do?"));
  ASSERT_THAT(request_.retrieved->citations, SizeIs(1));
  EXPECT_EQ(request_.retrieved->citations[0].score, 2);
  ASSERT_THAT(request_.findings, SizeIs(2));
  EXPECT_EQ(request_.findings[0].finding.rule, "noise");
  EXPECT_EQ(request_.findings[0].direction, Direction::kRetrieved);
}

TEST_F(RetrieveStageTest, ManyPassagesAreLookedThroughInTheBackground) {
  fakes_.SetPolicy("defaults: {input: [{words: [purr], name: soft, action: mask}]}");
  fakes_.passages = std::vector<Passage>{Said(std::string(100'000, ' ') + "cats purr")};
  boost::asio::thread_pool background(1);
  FakeSink sink(fakes_);
  request_.authorization = "Bearer floe-secret";
  request_.ask = ask_;
  request_.sink = &sink;
  Ports ports = fakes_.Ports(clock_);
  ports.background = background.get_executor();
  const Pipeline pipeline = GeneratingPipeline(ports);
  ASSERT_TRUE(RunToEnd(pipeline.Run(request_)).ok());
  EXPECT_THAT(Seen(), HasSubstr("cats [soft]"));
  background.join();
}

// A token a byte, and a context in which the answer has 20 of them.
TEST_F(RetrieveStageTest, AsManyPassagesAreGivenAsLeaveRoomForTheAnswer) {
  fakes_.encode = [](const Prompt& prompt) {
    return std::vector<uint32_t>(std::get<std::string>(prompt).size(), 1);
  };
  std::vector<Passage> passages;
  std::vector<std::string> texts;
  for (int i = 0; i < 9; ++i) {
    passages.push_back(Said("passage number " + std::to_string(i)));
    texts.push_back(passages.back().text);
  }
  fakes_.passages = passages;
  const std::string question = "what do dogs do?";
  for (size_t fitting = 0; fitting <= texts.size(); ++fitting) {
    const std::vector<std::string> first(texts.begin(), texts.begin() + fitting);
    fakes_.model->context = static_cast<int64_t>(WithPassages(first, question).size()) + 20;
    ASSERT_TRUE(Run().ok()) << fitting;
    EXPECT_THAT(request_.retrieved->citations, SizeIs(fitting));
    EXPECT_EQ(Seen(), WithPassages(first, question));
    --fakes_.model->context;  // one token less: one passage less
    if (fitting == 0) {
      EXPECT_EQ(ReasonOfRun().reason, "CONTEXT_LENGTH_EXCEEDED");
    } else {
      ASSERT_TRUE(Run().ok()) << fitting;
      EXPECT_THAT(request_.retrieved->citations, SizeIs(fitting - 1));
    }
  }
}

TEST_F(RetrieveStageTest, OfALongQuestionTheEndIsLookedUpInWholeCharacters) {
  std::string question;
  while (question.size() < 20'000) question += "ä€";  // 2 and 3 bytes
  ask_.prompts = {question + "?"};
  ASSERT_TRUE(Run().ok());
  const std::string& query = fakes_.searches.at(0).query;
  EXPECT_LE(query.size(), 16u << 10);
  EXPECT_GT(query.size(), (16u << 10) - 4);
  EXPECT_TRUE(query.starts_with("ä") || query.starts_with("€"));
  EXPECT_TRUE(query.ends_with("?"));
}

TEST_F(RetrieveStageTest, WhatIsNotThereOrAwayIsSaidInTheClientsTerms) {
  fakes_.passages = absl::NotFoundError("teams/nlp/collections/handbook");
  EXPECT_EQ(ReasonOfRun().reason, "COLLECTION_NOT_FOUND");
  fakes_.passages = absl::UnavailableError("connection refused");
  EXPECT_EQ(ReasonOfRun().reason, "RETRIEVAL_UNAVAILABLE");
  EXPECT_EQ(fakes_.starts, 0);
}

TEST_F(RetrieveStageTest, NothingFoundIsAnAnswerWithoutCitations) {
  fakes_.passages = std::vector<Passage>();
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Seen(), "what do dogs do?");
  ASSERT_TRUE(request_.retrieved);
  EXPECT_THAT(request_.retrieved->citations, IsEmpty());
}

TEST_F(RetrieveStageTest, OtherPassagesAreAnotherEntryOfTheCache) {
  fakes_.encode = [](const Prompt& prompt) {
    const auto& text = std::get<std::string>(prompt);
    return std::vector<uint32_t>(text.begin(), text.end());
  };
  fakes_.model->context = 1000;
  ask_.sampling.temperature = 0;
  ASSERT_TRUE(Run().ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_THAT(request_.retrieved->citations, SizeIs(2));
  fakes_.passages = std::vector<Passage>{Said("dogs sleep")};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss);
}

}  // namespace
}  // namespace floe::gateway
