#include "gateway/routing/patience.h"

#include <gtest/gtest.h>

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
  while (const auto wait = patience.After({.time_left = kDay})) {
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
