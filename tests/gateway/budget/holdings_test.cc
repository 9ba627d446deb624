// Slices and reservations: nothing is spent twice, nothing stays reserved.
#include "gateway/budget/holdings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace floe::gateway {
namespace {

using testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);
const absl::Time kLater = kNow + absl::Minutes(10);

class HoldingsTest : public testing::Test {
 protected:
  HoldingsTest() { holdings_.Bind(spender_, {"budgets/key", "budgets/team"}, kNow); }
  void Give(const std::string& budget, Picos amount, absl::Time until = kLater) {
    holdings_.Put(budget, {budget + "/slices/1", amount, until});
  }
  std::optional<Reservation> Reserve(Picos amount, absl::Time now = kNow) {
    auto outcome = holdings_.Reserve(spender_, amount, now);
    if (auto* reservation = std::get_if<Reservation>(&outcome)) return *reservation;
    return std::nullopt;
  }
  Holdings::Shortage ShortageOf(Picos amount, absl::Time now = kNow) {
    return std::get<Holdings::Shortage>(holdings_.Reserve(spender_, amount, now));
  }

  Holdings holdings_;
  const Spender spender_{.team = "nlp", .key_id = "k1"};
};

TEST_F(HoldingsTest, AReservationIsInEveryBudgetOrInNone) {
  Give("budgets/key", 100);
  Give("budgets/team", 30);
  EXPECT_EQ(ShortageOf(40).budget, "budgets/team");
  EXPECT_EQ(ShortageOf(40).missing, 10);
  EXPECT_EQ(holdings_.FreeIn("budgets/key", kNow), 100);  // nothing was left behind
  const auto reservation = Reserve(30);
  ASSERT_TRUE(reservation);
  EXPECT_THAT(reservation->slices, ElementsAre("budgets/key/slices/1", "budgets/team/slices/1"));
  EXPECT_EQ(reservation->time, kNow);
  EXPECT_EQ(holdings_.FreeIn("budgets/key", kNow), 70);
  EXPECT_EQ(holdings_.FreeIn("budgets/team", kNow), 0);
}

TEST_F(HoldingsTest, WhatWasNotSpentIsFreeAgain) {
  Give("budgets/key", 100);
  Give("budgets/team", 100);
  const auto first = Reserve(80);
  ASSERT_TRUE(first);
  EXPECT_FALSE(Reserve(40));
  holdings_.Settle(*first, 25);
  EXPECT_TRUE(Reserve(75));
  EXPECT_FALSE(Reserve(1));
  EXPECT_EQ(holdings_.SpentIn("budgets/team/slices/1"), 25);
}

TEST_F(HoldingsTest, NothingIsReservedInASliceWhoseLeaseHasEnded) {
  Give("budgets/key", 100);
  Give("budgets/team", 100, kNow + absl::Seconds(5));
  EXPECT_TRUE(Reserve(10));
  EXPECT_EQ(ShortageOf(10, kNow + absl::Seconds(5)).missing, 10);
  Give("budgets/team", 100, kLater);  // the lease is renewed
  EXPECT_TRUE(Reserve(10, kNow + absl::Seconds(5)));
}

TEST_F(HoldingsTest, AClosedSliceStillSettles) {
  Give("budgets/key", 100);
  Give("budgets/team", 100);
  const auto reservation = Reserve(60);
  holdings_.Close("budgets/team/slices/1");
  EXPECT_FALSE(Reserve(10));
  EXPECT_EQ(holdings_.Growable("budgets/team", kNow), "");
  EXPECT_EQ(holdings_.ReservedIn("budgets/team/slices/1"), 60);
  holdings_.Settle(*reservation, 7);
  EXPECT_EQ(holdings_.ReservedIn("budgets/team/slices/1"), 0);
  EXPECT_EQ(holdings_.SpentIn("budgets/team/slices/1"), 7);
  holdings_.Remove("budgets/team/slices/1");
  holdings_.Settle(*reservation, 7);  // a slice that is gone is nobody's trouble
}

TEST_F(HoldingsTest, WhoIsNotKnownMustBeAskedForAndOldAnswersServeWhileBillingIsAway) {
  const Spender other{.team = "nlp", .key_id = "k2"};
  EXPECT_TRUE(std::holds_alternative<Holdings::UnknownSpender>(holdings_.Reserve(other, 1, kNow)));
  holdings_.Bind(other, {}, kNow);
  EXPECT_TRUE(std::holds_alternative<Reservation>(holdings_.Reserve(other, 1, kNow)));  // unlimited
  EXPECT_FALSE(holdings_.IsDue(other, kNow));
  EXPECT_TRUE(holdings_.IsDue(other, kNow + absl::Seconds(3)));
  const absl::Time old = kNow + absl::Minutes(5);
  EXPECT_TRUE(std::holds_alternative<Holdings::UnknownSpender>(holdings_.Reserve(other, 1, old)));
  EXPECT_TRUE(
      std::holds_alternative<Reservation>(holdings_.Reserve(other, 1, old, /*accept_stale=*/true)));
  EXPECT_TRUE(std::holds_alternative<Holdings::UnknownSpender>(
      holdings_.Reserve(other, 1, kNow + absl::Hours(2), /*accept_stale=*/true)));
}

TEST_F(HoldingsTest, AWorkflowIsAnotherSpender) {
  Spender step = spender_;
  step.workflow_id = "w1";
  EXPECT_TRUE(std::holds_alternative<Holdings::UnknownSpender>(holdings_.Reserve(step, 1, kNow)));
}

// Any order of reserving and settling: never more out than in, and at the end nothing is reserved.
TEST_F(HoldingsTest, RandomTrafficKeepsTheSums) {
  std::mt19937 random(4711);
  Give("budgets/key", 1000);
  Give("budgets/team", 600);
  std::vector<Reservation> running;
  Picos spent = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0) {
      if (const auto reservation = Reserve(1 + random() % 50)) running.push_back(*reservation);
    } else if (!running.empty()) {
      std::swap(running[random() % running.size()], running.back());
      const Picos charge = random() % 20 == 0 ? running.back().amount / 7 : 0;
      holdings_.Settle(running.back(), charge);
      spent += charge;
      running.pop_back();
    }
    Picos reserved = 0;
    for (const Reservation& reservation : running) reserved += reservation.amount;
    ASSERT_EQ(holdings_.ReservedIn("budgets/team/slices/1"), reserved);
    ASSERT_LE(spent + reserved, 600);
    ASSERT_EQ(holdings_.FreeIn("budgets/team", kNow), 600 - spent - reserved);
  }
  for (const Reservation& reservation : running) holdings_.Settle(reservation, 0);
  EXPECT_EQ(holdings_.ReservedIn("budgets/key/slices/1"), 0);
  EXPECT_EQ(holdings_.FreeIn("budgets/key", kNow), 1000 - spent);
}

}  // namespace
}  // namespace floe::gateway
