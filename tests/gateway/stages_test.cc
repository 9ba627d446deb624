// The stages themselves, over ports that the test answers for.
#include "gateway/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_reason.h"
#include "gateway/stages/quote.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class StagesTest : public testing::Test {
 protected:
  StagesTest() {
    fakes_.pieces = {Text("a"), Last("b")};
    request_.what = "POST /v1/completions";
    request_.authorization = "Bearer floe-secret";
    request_.ask.model = "hamlet";
    request_.ask.prompts = {"text"};
    request_.sink = &sink_;
  }
  absl::Status Run() {
    const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
    absl::Status status = RunToEnd(pipeline.Run(request_));
    EXPECT_EQ(fakes_.streams, 0) << "a stream was left behind";
    return status;
  }
  std::string ReasonOfRun() {
    const absl::Status status = Run();
    const auto reason = ReasonOf(status);
    return reason ? reason->reason : std::string(status.ToString());
  }

  test::FakeClock clock_;
  FakePorts fakes_;
  FakeSink sink_{fakes_};
  Request request_;
};

TEST_F(StagesTest, TheOrderIsTheDesigns) {
  const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
  std::vector<std::string> names;
  for (const auto& stage : pipeline.stages()) names.emplace_back(stage->name());
  EXPECT_THAT(
      names, ElementsAre("identify", "admit", "policy", "guard_input", "retrieve", "quote", "cache",
                         "reserve", "generate", "guard_output", "settle", "answer"));
}

TEST_F(StagesTest, ARequestIsAnsweredPieceByPiece) {
  fakes_.pieces = {Text("a"), Text(""), Text("b"), Last("")};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_secret, "floe-secret");
  EXPECT_EQ(fakes_.asked_team, "nlp");
  // A piece without text is counted, not sent; the last is always sent.
  EXPECT_THAT(sink_.texts, ElementsAre("a", "b", ""));
  EXPECT_EQ(request_.pieces, 4);
  EXPECT_TRUE(request_.finish);
}

TEST_F(StagesTest, KeysThatDoNotWorkAreInvalidApiKey) {
  for (const char* header : {"", "Basic abc", "Bearer"}) {
    request_.authorization = header;
    EXPECT_EQ(ReasonOfRun(), "INVALID_API_KEY") << header;
  }
  request_.authorization = "Bearer floe-x";
  fakes_.identity = WithReason(absl::UnauthenticatedError("revoked"), "KEY_REVOKED");
  EXPECT_EQ(ReasonOfRun(), "INVALID_API_KEY");
  fakes_.identity = absl::UnavailableError("the database is away");
  EXPECT_EQ(Run().code(), absl::StatusCode::kUnavailable);
}

TEST_F(StagesTest, ConsumersAndAboveMayAsk) {
  for (const Role role : {Role::kConsumer, Role::kDeveloper, Role::kAdmin}) {
    fakes_.identity->role = role;
    EXPECT_TRUE(Run().ok());
  }
  fakes_.identity->role = Role::kViewer;
  EXPECT_EQ(ReasonOfRun(), "ROLE_TOO_LOW");
}

TEST_F(StagesTest, AModelThatIsNotThereIsModelNotFound) {
  for (const absl::Status& status : {absl::NotFoundError("x"), absl::InvalidArgumentError("x")}) {
    fakes_.model = status;
    EXPECT_EQ(ReasonOfRun(), "MODEL_NOT_FOUND");
  }
  fakes_.model = absl::UnavailableError("x");
  EXPECT_EQ(Run().code(), absl::StatusCode::kUnavailable);
}

TEST_F(StagesTest, TheSeedIsTheClientsOrDrawn) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_seed, 42u);
  request_.ask.sampling.seed = 7;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_seed, 7u);
}

TEST_F(StagesTest, AnErrorInTheMiddleEndsTheAnswerAndTheStream) {
  fakes_.pieces = {Text("a"), absl::UnavailableError("gone")};
  EXPECT_EQ(Run().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(sink_.texts, ElementsAre("a"));
}

TEST_F(StagesTest, AClientThatTakesNoMoreEndsTheStream) {
  sink_.status = absl::CancelledError("gone");
  EXPECT_EQ(Run().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(sink_.texts, ElementsAre("a"));
}

TEST(TokenBudgetTest, DefaultsAreSixteenForTextAndTheRestOfTheContextForChats) {
  EXPECT_EQ(*TokenBudget(false, std::nullopt, 10, 100), kDefaultCompletionTokens);
  EXPECT_EQ(*TokenBudget(false, std::nullopt, 95, 100), 5);
  EXPECT_EQ(*TokenBudget(true, std::nullopt, 10, 100), 90);
  EXPECT_EQ(*TokenBudget(true, 7, 10, 100), 7);
  EXPECT_EQ(*TokenBudget(true, 90, 10, 100), 90);
}

TEST(TokenBudgetTest, WhatDoesNotFitIsContextLengthExceeded) {
  struct Case {
    bool chat;
    std::optional<int64_t> asked;
    int64_t prompt;
  };
  for (const Case& c : std::vector<Case>{{true, 91, 10},
                                         {true, INT64_MAX, 10},
                                         {false, 1, 100},
                                         {true, std::nullopt, 100},
                                         {true, std::nullopt, INT32_MAX}}) {
    const auto budget = TokenBudget(c.chat, c.asked, c.prompt, 100);
    ASSERT_FALSE(budget.ok());
    EXPECT_EQ(ReasonOf(budget.status())->reason, "CONTEXT_LENGTH_EXCEEDED");
    EXPECT_EQ(ReasonOf(budget.status())->metadata.at("param"), c.chat ? "messages" : "prompt");
    EXPECT_THAT(std::string(budget.status().message()), HasSubstr("is 100 tokens"));
  }
}

TEST(TokenBudgetTest, AnEmptyPromptIsRefused) {
  EXPECT_EQ(ReasonOf(TokenBudget(false, 5, 0, 100).status())->reason, "INVALID_VALUE");
}

}  // namespace
}  // namespace floe::gateway
