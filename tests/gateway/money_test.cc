// The money stages over ports that the test answers for: what is reserved, recorded and charged on
// every way that a request can end. Half of it is those ports; all cases share them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error_reason.h"
#include "gateway/pipeline.h"
#include "gateway/stages/answer.h"
#include "gateway/stages/generate.h"
#include "gateway/stages/quote.h"
#include "gateway/stages/reserve.h"
#include "gateway/stages/settle.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// One picodollar a prompt token, ten an output token, seven a search.
class TokenPrices final : public PriceList {
 public:
  const std::string& name() const override { return name_; }
  absl::StatusOr<Cost> WorstCase(const PricedCall& call, int64_t input,
                                 int64_t output) const override {
    return CostOf(input + 10 * output + 7 * call.retrieves);
  }
  absl::StatusOr<Cost> Charge(const PricedCall& call, const UsageQuantities& q) const override {
    return CostOf(q.input_tokens + q.cached_input_tokens / 2 + 10 * q.output_tokens +
                  7 * (call.retrieves && q.calls > 0));
  }

  absl::StatusOr<Picos> Amount(std::string_view dollars) const override {
    return std::stoll(std::string(dollars.substr(dollars.find('.') + 1)));
  }

 private:
  static Cost CostOf(int64_t picos) { return {picos, absl::StrCat(picos, "e-12"), {}}; }
  const std::string name_ = "priceBooks/b1";
};

// All money ports: a purse, a list of records, and a journal that may fail.
class Till final : public Prices, public Budgets, public WorkflowSteps, public UsageLog {
 public:
  absl::StatusOr<std::shared_ptr<const PriceList>> Resolve(absl::Time) const override {
    return std::make_shared<TokenPrices>();
  }
  Awaitable<absl::StatusOr<Reservation>> Reserve(const Spender& who, Picos amount) override {
    spender = who;
    if (reserved + amount > limit) co_return absl::ResourceExhaustedError("too much");
    reserved += amount;
    co_return Reservation{absl::FromUnixSeconds(1), amount, {"budgets/b/slices/1"}};
  }
  void Settle(const Reservation& reservation, Picos charge) noexcept override {
    reserved -= reservation.amount;
    spent += charge;
  }
  Awaitable<absl::Status> Count(const std::string&, const std::string&, int64_t max) override {
    co_return ++steps <= max ? absl::OkStatus() : absl::ResourceExhaustedError("steps");
  }
  void Begin(UsageRecord record) noexcept override { begun.push_back(std::move(record)); }
  void Drop(const std::string& usage_id) noexcept override { dropped.push_back(usage_id); }
  std::unique_ptr<Pending> Append(UsageRecord record,
                                  std::function<void(const absl::Status&)> written,
                                  const boost::asio::any_io_executor&) override {
    AppendOnly(std::move(record), std::move(written));
    return std::make_unique<Done>(*this);
  }
  void AppendOnly(UsageRecord record,
                  std::function<void(const absl::Status&)> written) noexcept override {
    if (journal.ok()) records.push_back(std::move(record));
    written(journal);
  }

  Picos limit = 1000, reserved = 0, spent = 0;
  int64_t steps = 0;
  absl::Status journal;
  Spender spender;
  std::vector<UsageRecord> records, begun;
  std::vector<std::string> dropped;

 private:
  class Done final : public Pending {
   public:
    explicit Done(Till& till) : till_(till) {}
    Awaitable<absl::Status> Durable() override { co_return till_.journal; }

   private:
    Till& till_;
  };
};

class Worker final : public PromptEncoder, public Generator {
 public:
  Awaitable<absl::StatusOr<EncodedPrompt>> Encode(const CallScope&, const ResolvedModel&,
                                                  const Prompt&, const ToolAsk&) override {
    co_return EncodedPrompt{{1, 2, 3}};
  }
  Awaitable<absl::StatusOr<std::string>> Decode(const CallScope&, const ResolvedModel&,
                                                const std::vector<uint32_t>&) override {
    co_return "";
  }
  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope&,
                                                                const GenerateCall& call) override {
    if (on_start) on_start();
    if (begins) ++call.meter->attempts;
    if (!start.ok()) co_return start;
    co_return std::make_unique<Stream>(*this);
  }
  bool begins = true;
  std::function<void()> on_start;
  absl::Status start;
  std::vector<absl::StatusOr<Piece>> pieces;

 private:
  class Stream final : public TokenStream {
   public:
    explicit Stream(Worker& worker) : worker_(worker) {}
    Awaitable<absl::StatusOr<Piece>> Next() override {
      if (next_ < worker_.pieces.size()) co_return worker_.pieces[next_++];
      // Waits until it is cancelled.
      boost::asio::steady_timer never(co_await boost::asio::this_coro::executor,
                                      boost::asio::steady_timer::time_point::max());
      co_await never.async_wait(boost::asio::use_awaitable);
      co_return absl::InternalError("not reached");
    }

   private:
    Worker& worker_;
    size_t next_ = 0;
  };
};

class CachedStream final : public TokenStream {
 public:
  Awaitable<absl::StatusOr<Piece>> Next() override {
    co_return Piece{.text = "text", .finish = Finish{.completion_tokens = 5}};
  }
};

class Sink final : public AnswerSink {
 public:
  explicit Sink(const Till& till) : till_(till) {}
  Awaitable<absl::Status> Write(const Request&, const Piece& piece) override {
    if (piece.finish) records_at_the_end = till_.records.size();
    ++pieces;
    co_return status;
  }
  absl::Status status;
  int pieces = 0;
  std::optional<size_t> records_at_the_end;

 private:
  const Till& till_;
};

Piece Ids(int count) {
  return {.ids = std::vector<uint32_t>(static_cast<size_t>(count), 7), .text = "x"};
}
Piece Last(int count) {
  Piece piece = Ids(count);
  piece.finish = Finish{.completion_tokens = 0, .tier_met = "flex"};
  return piece;
}

class MoneyTest : public testing::Test {
 protected:
  MoneyTest() {
    request_.usage_id = "u1";
    request_.id = "the-clients-own";
    request_.scope.caller = {"nlp", Role::kConsumer, "k1"};
    request_.model.version = "teams/nlp/models/hamlet/versions/7";
    request_.model.context = 100;
    request_.ask.prompts = {"text"};
    request_.ask.max_tokens = 5;
    request_.ask.stream = true;
    request_.sink = &sink_;
    request_.rules = &rules_;
    worker_.pieces = {Ids(2), Last(1)};
    std::vector<std::unique_ptr<Stage>> stages;
    stages.push_back(std::make_unique<QuoteStage>(
        QuoteStage::Parts{worker_, till_, uncounted_, [] { return uint64_t{1}; }}));
    stages.push_back(
        std::make_unique<ReserveStage>(ReserveStage::Parts{till_, till_, till_, clock_}));
    stages.push_back(std::make_unique<GenerateStage>(worker_, clock_));
    stages.push_back(std::make_unique<SettleStage>(SettlementParts{till_, till_, clock_}));
    stages.push_back(std::make_unique<AnswerStage>());
    pipeline_ = std::make_unique<Pipeline>(std::move(stages), clock_);
  }
  // Runs until the end, or until nothing moves any more and then cancels.
  absl::Status Run() {
    boost::asio::io_context io;
    boost::asio::cancellation_signal leave;
    std::optional<absl::Status> result;
    boost::asio::co_spawn(
        io, [&]() -> Awaitable<void> { result = co_await pipeline_->Run(request_); },
        boost::asio::bind_cancellation_slot(leave.slot(), boost::asio::detached));
    while (!result && io.poll() > 0) {
    }
    if (!result) leave.emit(boost::asio::cancellation_type::terminal);
    io.run();
    return *result;
  }
  // Of one request: nothing stays reserved, and what is recorded is what is spent.
  UsageRecord OnlyRecord() {
    EXPECT_EQ(till_.reserved, 0);
    EXPECT_THAT(till_.records, SizeIs(1));
    return till_.records.empty() ? UsageRecord{} : till_.records[0];
  }

  test::FakeClock clock_;
  Till till_;
  Worker worker_;
  limits::UncountedLimits uncounted_;
  Sink sink_{till_};
  policy::TeamPolicy rules_;
  Request request_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(MoneyTest, ACompletedRequestIsChargedForWhatArrivedUnderItsOwnId) {
  ASSERT_TRUE(Run().ok());
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.usage_id, "u1");
  EXPECT_EQ(record.request_id, "the-clients-own");
  EXPECT_EQ(record.outcome, UsageOutcome::kCompleted);
  EXPECT_EQ(record.quantities,
            (UsageQuantities{.input_tokens = 3, .output_tokens = 3, .calls = 1}));
  EXPECT_EQ(record.arrived_tokens, 3);
  EXPECT_EQ(record.call.model, "teams/nlp/models/hamlet");
  EXPECT_EQ(record.model_version, "7");
  EXPECT_EQ(record.served_tier, "flex");
  EXPECT_EQ(record.price_book, "priceBooks/b1");
  EXPECT_EQ(record.time, absl::FromUnixSeconds(1));  // of the reservation
  EXPECT_THAT(record.slices, ElementsAre("budgets/b/slices/1"));
  EXPECT_EQ(till_.spent, 33);
  EXPECT_EQ(request_.cost.picos, 33);
}

TEST_F(MoneyTest, TheRecordIsThereBeforeTheLastPiece) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(sink_.records_at_the_end, 1u);
}

TEST_F(MoneyTest, WhatMayCostMoreThanItsClientWantsIsNotBegun) {
  request_.ask.max_cost = "0.52";  // three tokens and five at ten
  const absl::Status refused = Run();
  EXPECT_EQ(ReasonOf(refused)->reason, "MAX_COST_EXCEEDED");
  EXPECT_EQ(ReasonOf(refused)->metadata.at("param"), "max_cost");
  EXPECT_THAT(till_.begun, IsEmpty());
  EXPECT_THAT(till_.records, IsEmpty());
  request_.ask.max_cost = "0.53";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(till_.spent, 33);
}

TEST_F(MoneyTest, SeveralAnswersReserveTheWorstCaseOfAll) {
  request_.ask.max_cost = "0.53";
  request_.ask.best_of = 2;
  EXPECT_EQ(ReasonOf(Run())->reason, "MAX_COST_EXCEEDED");
  request_.ask.max_cost = "0.103";
  till_.limit = 102;
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_THAT(till_.begun, IsEmpty());
}

TEST_F(MoneyTest, TheWorstCaseIsReservedWhileItRuns) {
  worker_.pieces = {Ids(2)};  // and then hangs
  till_.limit = 52;
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_THAT(till_.records, IsEmpty());
  till_.limit = 53;  // 3 of the prompt, 5 × 10
  EXPECT_TRUE(absl::IsCancelled(Run()));
}

TEST_F(MoneyTest, AClientThatLeavesInMidStreamPaysOnceForWhatWasGenerated) {
  worker_.pieces = {Ids(2), Ids(2)};  // and then hangs until the client leaves
  EXPECT_TRUE(absl::IsCancelled(Run()));
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.outcome, UsageOutcome::kDisconnected);
  EXPECT_EQ(record.quantities.output_tokens, 4);
  EXPECT_EQ(till_.spent, 43);
}

TEST_F(MoneyTest, AClientThatLeavesBeforeAnAnswerInOnePiecePaysForThePromptAlone) {
  request_.ask.stream = false;
  worker_.pieces = {Ids(2), Ids(2)};  // and then hangs until the client leaves
  EXPECT_TRUE(absl::IsCancelled(Run()));
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.outcome, UsageOutcome::kDisconnected);
  EXPECT_EQ(record.quantities, (UsageQuantities{.input_tokens = 3, .calls = 1}));
  EXPECT_EQ(record.arrived_tokens, 4) << "what the worker is held against";
  EXPECT_EQ(till_.spent, 3);
}

TEST_F(MoneyTest, OfAnAnswerInOnePieceThatFailsThePromptAloneIsCharged) {
  request_.ask.stream = false;
  worker_.pieces = {Ids(2), absl::InternalError("broken")};
  EXPECT_TRUE(absl::IsInternal(Run()));
  EXPECT_EQ(OnlyRecord().outcome, UsageOutcome::kFailed);
  EXPECT_EQ(till_.spent, 3) << "the prompt";
  EXPECT_EQ(till_.records[0].arrived_tokens, 2);
}

TEST_F(MoneyTest, AnAnswerInOnePieceIsPaidWhenItCame) {
  request_.ask.stream = false;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(OnlyRecord().quantities.output_tokens, 3);
}

TEST_F(MoneyTest, AClientThatTakesNoMorePaysForWhatWasGenerated) {
  sink_.status = absl::CancelledError("gone");
  EXPECT_TRUE(absl::IsCancelled(Run()));
  EXPECT_EQ(OnlyRecord().outcome, UsageOutcome::kDisconnected);
  EXPECT_EQ(till_.spent, 23);
}

TEST_F(MoneyTest, AClientThatMissesTheLastPieceHasHadItsAnswer) {
  worker_.pieces = {Last(3)};
  sink_.status = absl::CancelledError("gone");
  EXPECT_TRUE(absl::IsCancelled(Run()));
  EXPECT_EQ(OnlyRecord().outcome, UsageOutcome::kCompleted);
}

TEST_F(MoneyTest, AClientThatLeavesBeforeTheFirstTokenPaysNothingAndLeavesARecord) {
  worker_.pieces = {};
  EXPECT_TRUE(absl::IsCancelled(Run()));
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.outcome, UsageOutcome::kDisconnected);
  EXPECT_EQ(record.quantities, UsageQuantities{});
  EXPECT_EQ(till_.spent, 0);
}

TEST_F(MoneyTest, AWorkersErrorIsRecordedOnce) {
  worker_.pieces = {Ids(2), absl::InternalError("broken")};
  EXPECT_TRUE(absl::IsInternal(Run()));
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.outcome, UsageOutcome::kFailed);
  EXPECT_EQ(record.quantities.output_tokens, 2);
}

TEST_F(MoneyTest, ABlockedAnswerIsRecordedAsBlocked) {
  Piece blocked = Last(1);
  blocked.finish->reason = FinishReason::kContentFilter;
  worker_.pieces = {Ids(2), blocked};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(OnlyRecord().outcome, UsageOutcome::kBlocked);
  EXPECT_EQ(till_.spent, 33);  // what was generated
}

TEST_F(MoneyTest, AnAnswerThatBreaksItsSchemaIsRecordedAsBlocked) {
  worker_.pieces = {Ids(2),
                    WithReason(absl::FailedPreconditionError("no"), "ANSWER_BREAKS_SCHEMA")};
  EXPECT_FALSE(Run().ok());
  EXPECT_EQ(OnlyRecord().outcome, UsageOutcome::kBlocked);
}

TEST_F(MoneyTest, AnAnswerFromTheCacheIsReservedAndChargedAsCached) {
  till_.limit = 2;  // three prompt tokens at half a picodollar, rounded down by these prices
  request_.cache = CacheUse::kHit;
  request_.cached = {{"text", FinishReason::kStop, 5}};
  request_.stream = std::make_unique<CachedStream>();
  ASSERT_TRUE(Run().ok());
  const UsageRecord record = OnlyRecord();
  EXPECT_TRUE(record.cache_hit);
  EXPECT_EQ(record.quantities,
            (UsageQuantities{.cached_input_tokens = 3, .cached_output_tokens = 5, .calls = 1}));
  EXPECT_EQ(record.arrived_tokens, 0);
  EXPECT_EQ(till_.spent, 1);
  EXPECT_THAT(till_.begun, IsEmpty()) << "no worker could report it";
}

TEST_F(MoneyTest, WhatTheFirstWorkerHadCachedOfThePromptIsChargedAsCachedAlsoToWhoLeaves) {
  Piece first = Ids(1);
  first.cached_prompt = 2;
  Piece of_another_worker = Ids(1);
  of_another_worker.cached_prompt = 3;
  worker_.pieces = {first, of_another_worker};  // and then hangs until the client leaves
  EXPECT_TRUE(absl::IsCancelled(Run()));
  EXPECT_EQ(OnlyRecord().quantities,
            (UsageQuantities{
                .input_tokens = 1, .cached_input_tokens = 2, .output_tokens = 2, .calls = 1}));
  EXPECT_EQ(till_.spent, 1 + 1 + 20);
}

TEST_F(MoneyTest, AWorkerCannotHaveCachedMoreThanThePrompt) {
  Piece last = Last(1);
  last.cached_prompt = 4000;
  worker_.pieces = {last};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(OnlyRecord().quantities.cached_input_tokens, 3);
  EXPECT_EQ(OnlyRecord().quantities.input_tokens, 0);
}

TEST_F(MoneyTest, WhatGoesToAWorkerIsSaidToHaveBegunBefore) {
  worker_.on_start = [this] { EXPECT_THAT(till_.begun, SizeIs(1)); };
  ASSERT_TRUE(Run().ok());
  ASSERT_THAT(till_.begun, SizeIs(1));
  const UsageRecord& begun = till_.begun[0];
  EXPECT_EQ(begun.usage_id, "u1");
  EXPECT_EQ(begun.outcome, UsageOutcome::kFailed);
  EXPECT_EQ(begun.quantities, UsageQuantities{});
  EXPECT_THAT(begun.slices, ElementsAre("budgets/b/slices/1"));
  EXPECT_EQ(begun.time, OnlyRecord().time);
  EXPECT_THAT(till_.dropped, IsEmpty());
}

TEST_F(MoneyTest, AWorkerThatBeganAndFailedLeavesARecordOfNothing) {
  worker_.start = absl::InternalError("broken");
  EXPECT_TRUE(absl::IsInternal(Run()));
  const UsageRecord record = OnlyRecord();
  EXPECT_EQ(record.outcome, UsageOutcome::kFailed);
  EXPECT_EQ(record.quantities, UsageQuantities{});
}

TEST_F(MoneyTest, WhatNoWorkerTookOnLeavesNoTrace) {
  worker_.begins = false;
  worker_.start = absl::ResourceExhaustedError("all are full");
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_EQ(till_.reserved, 0);
  EXPECT_THAT(till_.records, IsEmpty());
  EXPECT_THAT(till_.dropped, ElementsAre("u1"));
}

TEST_F(MoneyTest, AnAnswerWhoseRecordIsNotDurableIsNotGivenAndNotCharged) {
  till_.journal = absl::ResourceExhaustedError("the disk is full");
  const absl::Status status = Run();
  EXPECT_EQ(ReasonOf(status)->reason, "USAGE_NOT_RECORDED");
  EXPECT_EQ(sink_.records_at_the_end, std::nullopt);
  EXPECT_EQ(till_.reserved, 0);
  EXPECT_EQ(till_.spent, 0);
}

TEST_F(MoneyTest, ASearchIsReservedAndRecordedBesideItsRequestAsAStepBelowIt) {
  request_.retrieved = Retrieved{.collection = "c", .usage_id = "u1-retrieval"};
  request_.ask.workflow = {"w1", "parent", "ask"};
  till_.limit = 59;  // 53 and the search
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  till_.limit = 60;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(till_.reserved, 0);
  EXPECT_EQ(till_.spent, 33 + 7);
  ASSERT_THAT(till_.records, SizeIs(2));
  const UsageRecord& search = till_.records[0];
  EXPECT_EQ(search.usage_id, "u1-retrieval");
  EXPECT_EQ(search.call.operation, "retrieval");
  EXPECT_EQ(search.call.model, "");
  EXPECT_EQ(search.quantities, (UsageQuantities{.calls = 1}));
  EXPECT_EQ(search.workflow.id, "w1");
  EXPECT_EQ(search.workflow.parent_id, "u1");
  EXPECT_EQ(search.caller.team, "nlp");
  EXPECT_EQ(search.time, till_.records[1].time);
  EXPECT_EQ(till_.records[1].usage_id, "u1");
}

TEST_F(MoneyTest, AnAnswerOfWhichNothingCameCostsNoSearchEither) {
  request_.retrieved = Retrieved{.collection = "c", .usage_id = "u1-retrieval"};
  worker_.pieces = {};
  EXPECT_TRUE(absl::IsCancelled(Run()));
  EXPECT_EQ(OnlyRecord().usage_id, "u1");
  EXPECT_EQ(till_.spent, 0);
}

TEST_F(MoneyTest, StepsOfAWorkflowAreCountedAndARefusedOneHoldsNothing) {
  request_.ask.workflow = {"w1", "parent", "search"};
  rules_.max_workflow_steps = 1;
  rules_.max_workflow_cost = "0.50";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(till_.spender.workflow_id, "w1");
  EXPECT_EQ(till_.spender.workflow_max_cost, "0.50");
  EXPECT_EQ(OnlyRecord().workflow.parent_id, "parent");
  Request second;
  second.ask = request_.ask;
  second.model = request_.model;
  second.rules = &rules_;
  request_ = std::move(second);
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_EQ(till_.reserved, 0);
}

}  // namespace
}  // namespace floe::gateway
