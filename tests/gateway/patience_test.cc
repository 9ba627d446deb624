#include "gateway/routing/patience.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <set>

namespace floe::gateway {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

TEST(PatienceTest, WaitsAsLongAsAFullWorkerSays) {
  Patience patience;
  for (const int seconds : {7, 1, 30}) {
    EXPECT_EQ(
        patience.After(
            {.somebody_full = true, .soonest_room = absl::Seconds(seconds), .time_left = kDay}),
        absl::Seconds(seconds));
  }
}

TEST(PatienceTest, DoublesItsWaitsWhenNobodySaysHowLong) {
  Patience patience;
  for (const double seconds : {0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0}) {
    EXPECT_EQ(patience.After({.somebody_full = true, .time_left = kDay}), absl::Seconds(seconds));
  }
}

// Never before the time that a worker said, and never much sooner than the steps that grow.
TEST(PatienceTest, SpreadsTheWaitsOfManyWhoLostTheSameWorker) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> spread(0, 1);
  std::set<absl::Duration> told, doubled;
  constexpr int kMany = 1000;
  for (int i = 0; i < kMany; ++i) {
    Round round{.somebody_full = true, .time_left = kDay, .spread = spread(random)};
    Patience patience;
    for (const double seconds : {0.2, 0.4, 0.8}) {
      const absl::Duration wait = *patience.After(round);
      EXPECT_GE(wait, absl::Seconds(seconds / 2));
      EXPECT_LE(wait, absl::Seconds(seconds));
      if (seconds == 0.8) doubled.insert(wait);
    }
    round.soonest_room = absl::Seconds(4);
    const absl::Duration wait = *patience.After(round);
    EXPECT_GE(wait, absl::Seconds(4));
    EXPECT_LT(wait, absl::Seconds(6));
    told.insert(wait);
  }
  for (const std::set<absl::Duration>& waits : {told, doubled}) {
    EXPECT_GT(waits.size(), kMany * 9 / 10);
    // All over the range: its quarters have about as many each.
    const absl::Duration width = (*waits.rbegin() - *waits.begin()) / 4;
    for (int quarter = 0; quarter < 4; ++quarter) {
      const auto begin = waits.lower_bound(*waits.begin() + quarter * width);
      const auto end = waits.lower_bound(*waits.begin() + (quarter + 1) * width);
      EXPECT_GT(std::distance(begin, end), kMany / 5);
    }
  }
}

TEST(PatienceTest, OutlastsAnyQueueButNotTheDeadline) {
  Patience patience;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(patience.After({.somebody_full = true, .time_left = kDay}));
  }
  EXPECT_EQ(patience.After({.somebody_full = true, .time_left = absl::Milliseconds(3)}),
            absl::Milliseconds(3));
  EXPECT_EQ(
      patience.After(
          {.somebody_full = true, .soonest_room = absl::Seconds(9), .time_left = absl::Seconds(2)}),
      absl::Seconds(2));
  EXPECT_EQ(patience.After({.somebody_full = true, .time_left = absl::ZeroDuration()}),
            std::nullopt);
}

TEST(PatienceTest, WaitsAMinuteInAllWhileNobodyIsThere) {
  Patience patience;
  absl::Duration waited;
  double spread = 0;
  while (const auto wait = patience.After({.time_left = kDay, .spread = spread})) {
    spread = spread > 0.8 ? 0 : spread + 0.1;
    ASSERT_GT(*wait, absl::ZeroDuration());
    waited += *wait;
  }
  EXPECT_EQ(waited, absl::Minutes(1));
  // Somebody who is there after all is worth waiting for.
  EXPECT_TRUE(patience.After({.somebody_full = true, .time_left = kDay}));
  EXPECT_EQ(patience.After({.time_left = kDay}), std::nullopt);
}

}  // namespace
}  // namespace floe::gateway
