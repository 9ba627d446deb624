#include "billing/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_reason.h"

namespace floe::billing {
namespace {

absl::Time At(const char* text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, nullptr));
  return time;
}

TEST(PeriodTest, IsTheCalendarInUtc) {
  const auto day = BoundsOf(Period::kDay, At("2026-11-24T23:59:59.999999Z"));
  EXPECT_EQ(day.start, At("2026-11-24T00:00:00Z"));
  EXPECT_EQ(day.end, At("2026-11-25T00:00:00Z"));
  const auto month = BoundsOf(Period::kMonth, At("2026-12-01T00:00:00Z"));
  EXPECT_EQ(month.start, At("2026-12-01T00:00:00Z"));
  EXPECT_EQ(month.end, At("2027-01-01T00:00:00Z"));
  EXPECT_EQ(BoundsOf(Period::kTotal, At("2026-12-01T00:00:00Z")).end, absl::InfiniteFuture());
}

TEST(SubjectTest, ARequestCountsForTenantTeamKeyAndWorkflow) {
  EXPECT_THAT(SubjectKeysOf("acme", "nlp", "k1", "w1"),
              testing::ElementsAre("tenant/acme", "team/nlp", "key/nlp/k1", "workflow/nlp/w1"));
  EXPECT_THAT(SubjectKeysOf("acme", "nlp", "", ""),
              testing::ElementsAre("tenant/acme", "team/nlp"));
  EXPECT_EQ((Subject{.scope = Scope::kKey, .team = "nlp", .id = "k1"}.Key()), "key/nlp/k1");
}

class GrantTest : public testing::Test {
 protected:
  absl::StatusOr<Money> Ask(int64_t spent, int64_t held, int64_t wanted, int64_t minimum) {
    budget_.limit = Money::Dollars(limit_);
    return Grant(budget_, {.spent = Money::Dollars(spent), .held = Money::Dollars(held)},
                 Money::Dollars(wanted), Money::Dollars(minimum));
  }
  int64_t limit_ = 100;
  Budget budget_{.id = "b"};
};

TEST_F(GrantTest, GivesAllOrWhatIsFreeOrNothing) {
  EXPECT_EQ(*Ask(0, 0, 10, 10), Money::Dollars(10));
  EXPECT_EQ(*Ask(60, 35, 10, 2), Money::Dollars(5));
  EXPECT_EQ(*Ask(60, 30, 10, 10), Money::Dollars(10));
  const auto refused = Ask(60, 35, 10, 6);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused.status())->reason, "BUDGET_EXHAUSTED");
  EXPECT_EQ(ReasonOf(refused.status())->metadata.at("held"), "35000000000000");
}

TEST_F(GrantTest, AZeroBudgetAndAnOverspentOneGiveNothing) {
  limit_ = 0;
  EXPECT_EQ(Ask(0, 0, 1, 1).status().code(), absl::StatusCode::kResourceExhausted);
  limit_ = 100;
  EXPECT_EQ(Ask(130, 0, 1, 1).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(GrantTest, RefusesSlicesOfNothing) {
  EXPECT_EQ(Ask(0, 0, 0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask(0, 0, 5, 6).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask(0, 0, 5, -1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SliceTest, HoldsWhatCanStillArrive) {
  Slice slice{.amount = Money::Dollars(10), .settled = Money::Dollars(4)};
  EXPECT_EQ(*HeldBy(slice), Money::Dollars(6));  // also after its lease
  slice.state = SliceState::kReturned;
  slice.spent = Money::Dollars(7);  // three are on their way in the journal
  EXPECT_EQ(*HeldBy(slice), Money::Dollars(3));
  slice.settled = Money::Dollars(7);
  EXPECT_EQ(*HeldBy(slice), Money());
  slice.settled = Money::Dollars(9);  // more than it said: never negative
  EXPECT_EQ(*HeldBy(slice), Money());
  slice.state = SliceState::kWrittenOff;
  EXPECT_EQ(*HeldBy(slice), Money());
}

TEST(SliceTest, ALeaseEndsWithThePeriod) {
  const absl::Time now = At("2026-11-24T23:59:30Z");
  const auto bounds = BoundsOf(Period::kDay, now);
  EXPECT_EQ(LeaseEnd(bounds, now, absl::Minutes(5)), bounds.end);
  EXPECT_EQ(LeaseEnd(bounds, now, absl::Seconds(10)), now + absl::Seconds(10));
  const auto total = BoundsOf(Period::kTotal, now);
  EXPECT_EQ(LeaseEnd(total, now, absl::ZeroDuration()), now + kDefaultLease);
  EXPECT_EQ(LeaseEnd(total, now, absl::Hours(100)), now + kMaxLease);
}

}  // namespace
}  // namespace floe::billing
