// Each event once, by the right book, whatever goes wrong on the way.
#include <thread>

#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(StoreTest, TheSameEventFiveTimesIsChargedOnce) {
  ASSERT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
  EXPECT_THAT(Ingest({Event("u1"), Event("u1")}), Each(IngestState::kDuplicate));
  clock_.Advance(absl::Hours(24 * 400));
  UsageEvent late = Event("u1");
  late.time = At("2026-11-24T11:59:00Z");
  EXPECT_THAT(Ingest({late, late}), Each(IngestState::kDuplicate));
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
}

TEST_F(StoreTest, FiveTimesInOneCallIsChargedOnce) {
  const auto states = Ingest({5, Event("u1")});
  EXPECT_EQ(std::count(states.begin(), states.end(), IngestState::kAccepted), 1);
  EXPECT_EQ(std::count(states.begin(), states.end(), IngestState::kDuplicate), 4);
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
}

TEST_F(StoreTest, DeliveriesOfTheSameBatchAtOnceAreChargedOnce) {
  std::vector<UsageEvent> batch;
  for (int i = 0; i < 200; ++i) batch.push_back(Event(absl::StrCat("u", i)));
  std::atomic<int> accepted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::vector<UsageEvent> mine = batch;
      if (t % 2 == 1) std::reverse(mine.begin(), mine.end());
      const auto outcomes = ingest_.Run(mine);
      ASSERT_TRUE(outcomes.ok()) << outcomes.status();
      for (const auto& outcome : *outcomes) {
        accepted += outcome.result.state == IngestState::kAccepted ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 200);
  EXPECT_EQ(Receivable(), Money::Picos(Int128{200} * kEventPicos));
}

TEST_F(StoreTest, OtherContentUnderTheSameIdIsReportedAndNotCharged) {
  ASSERT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
  UsageEvent other = Event("u1");
  other.usage.quantities.output_tokens = 11;
  EXPECT_THAT(Ingest({other}), ElementsAre(IngestState::kConflict));
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
  const auto report =
      reports_.Verify({.interval = {At("2026-11-01T00:00:00Z"), At("2026-12-01T00:00:00Z")}});
  EXPECT_THAT(report->ledger_faults, ElementsAre(HasSubstr("other content")));
}

TEST_F(StoreTest, APresumedEndStandsOnlyWhereNoOtherDoes) {
  const auto presumed = [&](const char* id) {
    UsageEvent event = Event(id);
    event.usage.quantities = {};
    event.arrived_tokens = 0;
    event.outcome = Outcome::kFailed;
    event.presumed = true;
    return event;
  };
  EXPECT_THAT(Ingest({Event("u1"), presumed("u1")}),
              ElementsAre(IngestState::kAccepted, IngestState::kDuplicate));
  EXPECT_THAT(Ingest({presumed("u1"), presumed("u2")}),
              ElementsAre(IngestState::kDuplicate, IngestState::kAccepted));
  EXPECT_THAT(Ingest({presumed("u2")}), ElementsAre(IngestState::kDuplicate));
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.usage_conflict"), "0");
  // The other one waits for its price, and is not lost.
  UsageEvent waiting = Event("u3");
  waiting.price_book = "b2";
  EXPECT_THAT(Ingest({waiting}), ElementsAre(IngestState::kParked));
  EXPECT_THAT(Ingest({presumed("u3")}), ElementsAre(IngestState::kParked));
  Publish("b2", kSampleBook, At("2026-11-01T00:00:00Z"));
  EXPECT_EQ(*ingest_.ChargeParked(), 1);
  EXPECT_EQ(Receivable(), Money::Picos(2 * kEventPicos));
  UsageEvent charged = presumed("u4");
  charged.usage.quantities.calls = 1;
  EXPECT_FALSE(ingest_.Run({charged}).ok());
}

// A client may reuse its own request id as it likes: nothing is keyed by it.
TEST_F(StoreTest, AReusedRequestIdIsChargedEachTime) {
  UsageEvent first = Event("u1"), second = Event("u2");
  first.request_id = second.request_id = "same";
  EXPECT_THAT(Ingest({first, second}), Each(IngestState::kAccepted));
  EXPECT_EQ(Receivable(), Money::Picos(2 * kEventPicos));
}

constexpr char kDoubled[] = "models:\n  hamlet: {default: {input: 0.4, output: 1.6}}\n";

TEST_F(StoreTest, APriceChangeAtMidnightHoldsForLateEventsOnBothSides) {
  const absl::Time midnight = At("2026-11-25T00:00:00Z");
  Publish("b2", kDoubled, midnight);
  clock_.Advance(absl::Hours(72));
  const auto event = [&](const char* id, absl::Time time, const char* book) {
    UsageEvent e = Event(id);
    e.time = time;
    e.price_book = book;
    return e;
  };
  const absl::Duration tick = absl::Microseconds(1);
  // Two that resolved a book, two that did not; a request that began before midnight keeps its
  // price although it ended after.
  ASSERT_THAT(Ingest({event("after", midnight, ""), event("before", midnight - tick, ""),
                      event("kept", midnight + absl::Minutes(1), "b1"),
                      event("new", midnight + absl::Minutes(1), "b2")}),
              Each(IngestState::kAccepted));
  const auto charge = [&](const char* id) { return reports_.Explain("", id)->rated.charge.total; };
  EXPECT_EQ(charge("before"), Money::Picos(kEventPicos));
  EXPECT_EQ(charge("after"), Money::Picos(2 * kEventPicos));
  EXPECT_EQ(charge("kept"), Money::Picos(kEventPicos));
  EXPECT_EQ(charge("new"), Money::Picos(2 * kEventPicos));
  EXPECT_EQ(reports_.Explain("", "before")->rated.event.price_book, "b1");
}

TEST_F(StoreTest, WhatHasNoPriceIsParkedAndChargedWhenThereIsOne) {
  UsageEvent unknown_model = Event("u1"), unknown_book = Event("u2");
  unknown_model.usage.model = "macbeth";
  unknown_model.price_book.clear();
  unknown_book.price_book = "b9";
  EXPECT_THAT(Ingest({unknown_model, Event("u3"), unknown_book}),
              ElementsAre(IngestState::kParked, IngestState::kAccepted, IngestState::kParked));
  EXPECT_THAT(Ingest({unknown_model}), ElementsAre(IngestState::kParked));
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
  EXPECT_THAT(reports_.Explain("nlp", "u1")->rated.parked_reason, HasSubstr("macbeth"));

  Publish("b9", kDoubled, At("2026-01-02T00:00:00Z"));
  EXPECT_EQ(*ingest_.ChargeParked(), 1);
  EXPECT_EQ(Receivable(), Money::Picos(3 * kEventPicos));
  EXPECT_THAT(Ingest({unknown_book}), ElementsAre(IngestState::kDuplicate));
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.parked_usage"), "1");
  Publish("b3", "models:\n  '*': {default: {input: 0.2, output: 0.8}}\n",
          At("2026-11-01T00:00:00Z"));
  EXPECT_EQ(*ingest_.ChargeParked(), 1);
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.parked_usage"), "0");
  EXPECT_EQ(Receivable(), Money::Picos(4 * kEventPicos));
}

TEST_F(StoreTest, AnEventThatBreaksARuleFailsItsWholeCall) {
  UsageEvent negative = Event("u2");
  negative.usage.quantities.input_tokens = -1;
  const auto refused = ingest_.Run({Event("u1"), negative});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("events[1] (usage_id \"u2\")"));
  EXPECT_EQ(Receivable(), Money());
}

TEST_F(StoreTest, EveryFieldComesBackAsItCame) {
  UsageEvent event = Event("u1");
  event.tags = {{"app", "a\t\"quote\" \\ back"}, {"empty", ""}};
  event.workflow_id = "w{1},\"x\"";
  event.slices = {"budgets/b/slices/1", "budgets/c/slices/2"};
  event.outcome = Outcome::kDisconnected;
  event.queue_time = absl::Microseconds(17);
  event.total_time = absl::Seconds(3);
  event.trace_id = "line\nbreak";
  ASSERT_THAT(Ingest({event}), ElementsAre(IngestState::kAccepted));
  const auto back = reports_.Explain("", "u1");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Fingerprint(back->rated.event), Fingerprint(event));
  EXPECT_EQ(back->rated.charge.lines.size(), 2u);
  EXPECT_EQ(back->rated.charge.cost, Money::Picos(kEventPicos / 5 * 4));
}

// Lost spend: what a gateway delivers while the database is away must fail, and count once when it
// comes again.
TEST_F(StoreTest, ADatabaseThatGoesAwayLosesNothingAndDoublesNothing) {
  ASSERT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
  test::Postgres::Shared().Stop();
  const auto away = ingest_.Run({Event("u1"), Event("u2")});
  EXPECT_EQ(away.status().code(), absl::StatusCode::kUnavailable) << away.status();
  test::Postgres::Shared().Start();
  EXPECT_THAT(Ingest({Event("u1"), Event("u2")}),
              ElementsAre(IngestState::kDuplicate, IngestState::kAccepted));
  EXPECT_EQ(Receivable(), Money::Picos(2 * kEventPicos));
}

// LiteLLM #29292: everything behind the first hundred of a flush was dropped.
TEST_F(StoreTest, ABigBatchIsPostedWhole) {
  std::vector<UsageEvent> events;
  for (int i = 0; i < 5000; ++i) events.push_back(Event(absl::StrCat("u", i)));
  EXPECT_THAT(Ingest(events), Each(IngestState::kAccepted));
  EXPECT_EQ(Receivable(), Money::Picos(Int128{5000} * kEventPicos));
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.ledger_entry"), "10000");
}

TEST_F(StoreTest, AttemptsCountOnce) {
  const Attempt attempt{.attempt_id = "a1",
                        .usage_id = "u1",
                        .time = clock_.Now(),
                        .prompt_tokens = 100,
                        .computed_tokens = 10,
                        .sent_tokens = 10,
                        .outcome = AttemptOutcome::kFinished};
  Attempt second = attempt;
  second.attempt_id = "a2";
  EXPECT_EQ(*usage_.AppendAttempts({attempt, attempt}), 1);
  EXPECT_EQ(*usage_.AppendAttempts({attempt, second}), 1);
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.worker_attempt"), "2");
}

TEST_F(StoreTest, BooksAreFoundByTimeAndNeverReplaced) {
  EXPECT_EQ(book_store_.Effective(At("2025-12-31T23:59:59Z")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(book_store_.Effective(clock_.Now())->id, "b1");
  EXPECT_EQ(books_.Create({.id = "b1", .yaml = kDoubled}).status().code(),
            absl::StatusCode::kAlreadyExists);
  const auto first = books_.Create({.id = "b2", .yaml = kDoubled, .request_id = "r"});
  clock_.Advance(absl::Seconds(5));
  const auto again = books_.Create({.id = "b2", .yaml = kDoubled, .request_id = "r"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->create_time, first->create_time);
  EXPECT_TRUE(books_.Create({.id = "b5", .yaml = kDoubled, .validate_only = true}).ok());
  EXPECT_EQ(book_store_.Get("b5").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(book_store_.List(10, 0)->front().id, "b2");
}

}  // namespace
}  // namespace floe::billing
