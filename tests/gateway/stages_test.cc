// The stages themselves, over ports that the test answers for.
#include "gateway/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error_reason.h"
#include "gateway/stages/quote.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Every port at once: fixed answers, and a record of what was asked.
class FakePorts final : public KeyLookup, public Models, public PromptEncoder, public Generator {
 public:
  Awaitable<absl::StatusOr<Identity>> Identify(std::string_view secret) override {
    asked_secret = secret;
    co_return identity;
  }
  Awaitable<absl::StatusOr<ResolvedModel>> Resolve(const CallScope& scope,
                                                   const std::string& reference) override {
    asked_team = scope.caller.team;
    co_return model;
  }
  Awaitable<absl::StatusOr<std::vector<ModelSummary>>> List(const CallScope&) override {
    co_return std::vector<ModelSummary>();
  }
  Awaitable<absl::StatusOr<std::vector<uint32_t>>> Encode(const CallScope&, const ResolvedModel&,
                                                          const Prompt&) override {
    co_return ids;
  }
  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope&,
                                                                const GenerateCall& call) override {
    asked_max_tokens = call.max_tokens;
    asked_seed = call.sampling.seed;
    if (!start.ok()) co_return start;
    co_return std::make_unique<Stream>(*this);
  }

  absl::StatusOr<Identity> identity = Identity{"nlp", Role::kConsumer, "k"};
  absl::StatusOr<ResolvedModel> model =
      ResolvedModel{"digest", "teams/nlp/models/hamlet/versions/1", "tokenizer", 100, {}};
  absl::StatusOr<std::vector<uint32_t>> ids = std::vector<uint32_t>{1, 2, 3};
  absl::Status start;
  std::vector<absl::StatusOr<Piece>> pieces;
  std::string asked_secret, asked_team;
  int64_t asked_max_tokens = 0;
  std::optional<uint64_t> asked_seed;
  int streams = 0;  // alive

 private:
  class Stream final : public TokenStream {
   public:
    explicit Stream(FakePorts& ports) : ports_(ports) { ++ports_.streams; }
    ~Stream() override { --ports_.streams; }
    Awaitable<absl::StatusOr<Piece>> Next() override { co_return ports_.pieces.at(next_++); }

   private:
    FakePorts& ports_;
    size_t next_ = 0;
  };
};

class FakeSink final : public AnswerSink {
 public:
  explicit FakeSink(FakePorts& ports) : ports_(ports) {}
  Awaitable<absl::Status> Write(const Request&, const Piece& piece) override {
    EXPECT_EQ(ports_.streams, 1);
    texts.push_back(piece.text);
    co_return status;
  }
  std::vector<std::string> texts;
  absl::Status status;

 private:
  FakePorts& ports_;
};

Piece Text(std::string text) { return Piece{{1}, std::move(text), std::nullopt}; }
Piece Last(std::string text) { return Piece{{1}, std::move(text), Finish{}}; }

class StagesTest : public testing::Test {
 protected:
  StagesTest() {
    fakes_.pieces = {Text("a"), Last("b")};
    request_.what = "POST /v1/completions";
    request_.authorization = "Bearer floe-secret";
    request_.ask.model = "hamlet";
    request_.ask.prompt = "text";
    request_.sink = &sink_;
  }
  absl::Status Run() {
    const Pipeline pipeline =
        GeneratingPipeline({fakes_, fakes_, fakes_, fakes_, [] { return uint64_t{42}; }, clock_});
    asio_result_.reset();
    boost::asio::io_context io;
    boost::asio::co_spawn(
        io, [&]() -> Awaitable<void> { asio_result_ = co_await pipeline.Run(request_); },
        boost::asio::detached);
    io.run();
    EXPECT_EQ(fakes_.streams, 0) << "a stream was left behind";
    return asio_result_.value();
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
  std::optional<absl::Status> asio_result_;
};

TEST_F(StagesTest, TheOrderIsTheDesigns) {
  const Pipeline pipeline =
      GeneratingPipeline({fakes_, fakes_, fakes_, fakes_, [] { return uint64_t{1}; }, clock_});
  std::vector<std::string> names;
  for (const auto& stage : pipeline.stages()) names.emplace_back(stage->name());
  EXPECT_THAT(names, ElementsAre("identify", "policy", "quote", "generate", "answer"));
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
