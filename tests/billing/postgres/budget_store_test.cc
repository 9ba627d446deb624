// spent + held <= limit, whatever runs at once; and nobody refused for money that is free.
#include <thread>

#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;

class BudgetStoreTest : public StoreTest {
 protected:
  absl::StatusOr<Slice> Acquire(const std::string& budget, int64_t picos, int64_t minimum = 0,
                                const std::string& request_id = "") {
    return slices_.Acquire({.budget = budget,
                            .gateway = "g1",
                            .amount = Money::Picos(picos),
                            .minimum = Money::Picos(minimum == 0 ? picos : minimum),
                            .lease = absl::Minutes(1),
                            .request_id = request_id});
  }
  BudgetState State(const std::string& budget) { return budgets_.Get("", budget)->state; }

  // How many of 50 parallel reservations of one unit each succeed; all slices that were given.
  std::vector<Slice> FiftyAtOnce(const std::string& budget, int64_t picos) {
    std::vector<Slice> given;
    std::mutex mutex;
    std::vector<std::thread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] {
        const auto slice = Acquire(budget, picos);
        const std::lock_guard lock(mutex);
        if (slice.ok()) {
          given.push_back(*slice);
        } else {
          EXPECT_EQ(slice.status().code(), absl::StatusCode::kResourceExhausted) << slice.status();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return given;
  }
};

TEST_F(BudgetStoreTest, FiftyAtOnceAgainstRoomForTenAreExactlyTen) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(1000)).ok());
  const auto given = FiftyAtOnce("b", 100);
  ASSERT_EQ(given.size(), 10u);
  EXPECT_EQ(State("b").held, Money::Picos(1000));
  // Given back unused, all of it is free again: nobody is refused for a reservation that is gone.
  for (const Slice& slice : given) ASSERT_TRUE(slices_.Return(slice.id, Money()).ok());
  EXPECT_EQ(State("b").held, Money());
  EXPECT_EQ(FiftyAtOnce("b", 100).size(), 10u);
}

TEST_F(BudgetStoreTest, ADeadGatewaysSliceStaysHeldUntilItIsWrittenOff) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(1000)).ok());
  const auto given = FiftyAtOnce("b", 100);
  ASSERT_EQ(given.size(), 10u);
  clock_.Advance(absl::Minutes(5));
  EXPECT_EQ(State("b").held, Money::Picos(1000));
  EXPECT_FALSE(Acquire("b", 1).ok());
  EXPECT_FALSE(slices_.WriteOff(given[0].id, "").ok());
  for (const Slice& slice : given) ASSERT_TRUE(slices_.WriteOff(slice.id, "its disk is lost").ok());
  EXPECT_EQ(FiftyAtOnce("b", 100).size(), 10u);
  EXPECT_EQ(slices_.Renew(given[0].id, absl::Minutes(1), Money()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(BudgetStoreTest, AZeroBudgetGivesNothing) {
  ASSERT_TRUE(MakeBudget("b", Money()).ok());
  const auto refused = Acquire("b", 1);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused.status())->reason, "BUDGET_EXHAUSTED");
}

TEST_F(BudgetStoreTest, EventsMoveMoneyFromHeldToSpent) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(10 * kEventPicos)).ok());
  const auto slice = Acquire("b", 4 * kEventPicos);
  ASSERT_TRUE(slice.ok()) << slice.status();
  UsageEvent event = Event("u1");
  event.slices = {slice->id};
  Ingest({event});
  Ingest({event});
  EXPECT_EQ(State("b").spent, Money::Picos(kEventPicos));
  EXPECT_EQ(State("b").held, Money::Picos(3 * kEventPicos));
  // Its gateway spent two more that its journal has not delivered yet.
  ASSERT_TRUE(slices_.Return(slice->id, Money::Picos(3 * kEventPicos)).ok());
  EXPECT_EQ(State("b").held, Money::Picos(2 * kEventPicos));
  UsageEvent second = event, third = event;
  second.usage_id = "u2";
  third.usage_id = "u3";
  Ingest({second, third});
  EXPECT_EQ(State("b").spent, Money::Picos(3 * kEventPicos));
  EXPECT_EQ(State("b").held, Money());
}

// The held sum of the database and the arithmetic of the domain are one rule.
TEST_F(BudgetStoreTest, HeldIsWhatTheDomainSays) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(100 * kEventPicos)).ok());
  for (int i = 0; i < 4; ++i) {
    const auto slice = Acquire("b", 3 * kEventPicos);
    for (int n = 0; n < i; ++n) {
      UsageEvent event = Event(absl::StrCat("u", i, "-", n));
      event.slices = {slice->id};
      Ingest({event});
    }
    if (i == 1) {
      ASSERT_TRUE(slices_.Return(slice->id, Money::Picos(2 * kEventPicos)).ok());
    }
    if (i == 2) {
      ASSERT_TRUE(slices_.WriteOff(slice->id, "test").ok());
    }
  }
  Money held;
  const auto slices = slices_.List("b", false, 100, 0);
  ASSERT_EQ(slices->size(), 4u);
  for (const Slice& slice : *slices) held = *Add(held, *HeldBy(slice));
  EXPECT_EQ(State("b").held, held);
  EXPECT_EQ(slices_.List("b", true, 100, 0)->size(), 2u);
}

TEST_F(BudgetStoreTest, ATierCreditLowersWhatIsSpentAndLeavesNothingHeld) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(10 * kEventPicos)).ok());
  const auto slice = Acquire("b", 2 * kEventPicos);
  UsageEvent event = Event("u1");
  event.usage.tier = Tier::kPriority;
  event.served_tier = Tier::kDefault;
  event.slices = {slice->id};
  Ingest({event});
  ASSERT_TRUE(slices_.Return(slice->id, Money::Picos(2 * kEventPicos)).ok());
  EXPECT_EQ(State("b").spent, Money::Picos(kEventPicos));
  EXPECT_EQ(State("b").held, Money());
}

TEST_F(BudgetStoreTest, AnEventCountsForAllBudgetsOfItsSubjects) {
  const Money limit = Money::Dollars(1);
  ASSERT_TRUE(MakeBudget("tenant", limit, {.scope = Scope::kTenant, .tenant = "default"}).ok());
  ASSERT_TRUE(MakeBudget("team", limit).ok());
  ASSERT_TRUE(MakeBudget("key", limit, {.scope = Scope::kKey, .team = "nlp", .id = "k1"}).ok());
  ASSERT_TRUE(MakeBudget("flow", limit, {.scope = Scope::kWorkflow, .team = "nlp", .id = "w1"},
                         Period::kTotal)
                  .ok());
  ASSERT_TRUE(MakeBudget("other", limit, {.scope = Scope::kTeam, .team = "law"}).ok());
  UsageEvent event = Event("u1");
  event.workflow_id = "w1";
  Ingest({event});
  for (const char* budget : {"tenant", "team", "key", "flow"}) {
    EXPECT_EQ(State(budget).spent, Money::Picos(kEventPicos)) << budget;
  }
  EXPECT_EQ(State("other").spent, Money());
  EXPECT_EQ(budgets_.Applicable(SubjectKeysOf("default", "nlp", "k1", "w1"))->size(), 4u);
  EXPECT_EQ(budgets_.Applicable(SubjectKeysOf("default", "nlp", "k2", ""))->size(), 2u);
}

// LiteLLM #29576: counters that were not reset with the budget.
TEST_F(BudgetStoreTest, ANewPeriodBeginsAtZeroAndLateEventsGoToTheirOwn) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(2 * kEventPicos)).ok());
  const UsageEvent late = Event("late");
  Ingest({Event("u1")});
  EXPECT_FALSE(Acquire("b", 2 * kEventPicos).ok());
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(State("b").spent, Money());
  EXPECT_TRUE(Acquire("b", 2 * kEventPicos).ok());
  Ingest({late});
  EXPECT_EQ(State("b").spent, Money());
}

TEST_F(BudgetStoreTest, ABudgetMadeInThePeriodCountsWhatWasSpentBefore) {
  Ingest({Event("u1")});
  const auto made = MakeBudget("b", Money::Picos(kEventPicos));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->state.spent, Money::Picos(kEventPicos));
  EXPECT_FALSE(Acquire("b", 1).ok());
  EXPECT_EQ(MakeBudget("b", Money())->budget.limit, Money::Picos(kEventPicos));  // same request
}

TEST_F(BudgetStoreTest, BudgetsMadeWhileEventsArriveMissNoneAndDoubleNone) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) Ingest({Event(absl::StrCat("u", t, "-", i))});
    });
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(MakeBudget(absl::StrCat("b", i), Money::Dollars(1)).ok());
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(State(absl::StrCat("b", i)).spent, Money::Picos(100 * kEventPicos));
  }
}

TEST_F(BudgetStoreTest, ALeaseIsExtendedAndGrowsWithinTheLimit) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(100)).ok());
  const auto slice = Acquire("b", 60);
  clock_.Advance(absl::Minutes(10));  // its gateway was away, and is back
  const auto renewed = slices_.Renew(slice->id, absl::Minutes(2), Money::Picos(70));
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(renewed->amount, Money::Picos(100));
  EXPECT_EQ(renewed->expire_time, clock_.Now() + absl::Minutes(2));
  EXPECT_EQ(slices_.Renew(slice->id, absl::Minutes(2), Money::Picos(1))->amount, Money::Picos(100));
}

TEST_F(BudgetStoreTest, TheSameRequestGetsTheSameSlice) {
  ASSERT_TRUE(MakeBudget("b", Money::Picos(100)).ok());
  const auto first = Acquire("b", 60, 10, "r1");
  EXPECT_EQ(Acquire("b", 60, 10, "r1")->id, first->id);
  EXPECT_EQ(Acquire("b", 60, 10, "r2")->amount, Money::Picos(40));
}

TEST_F(BudgetStoreTest, ChangesTakeAnEtagAndDeletedBudgetsBindNobody) {
  const auto made = MakeBudget("b", Money::Picos(100));
  ASSERT_TRUE(made.ok());
  const auto changed = budgets_.Update("nlp", "b", {.limit = Money::Picos(5)});
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->budget.limit, Money::Picos(5));
  EXPECT_EQ(budgets_.Update("nlp", "b", {.etag = made->budget.etag}).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(budgets_.Get("law", "b").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(budgets_.Delete("law", "b").code(), absl::StatusCode::kNotFound);
  const auto slice = Acquire("b", 5);
  ASSERT_TRUE(budgets_.Delete("nlp", "b").ok());
  EXPECT_TRUE(budgets_.Applicable({"team/nlp"})->empty());
  EXPECT_TRUE(slices_.Return(slice->id, Money()).ok());
  EXPECT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
}

}  // namespace
}  // namespace floe::billing
