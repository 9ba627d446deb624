#include "base/id.h"

#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace floe {
namespace {

TEST(UlidGenerator, WritesTheTimeInItsFirstTenCharacters) {
  // The specification's example: 1469918176385 ms is 01ARYZ6S41.
  const test::FakeClock clock(absl::FromUnixMillis(1469918176385));
  UlidGenerator ids(clock);
  const std::string id = ids.Next();
  EXPECT_EQ(id.size(), 26u);
  EXPECT_EQ(id.substr(0, 10), "01aryz6s41");
}

TEST(UlidGenerator, SortsByTimeOfMaking) {
  test::FakeClock clock;
  UlidGenerator ids(clock);
  std::string last = ids.Next();
  for (int i = 0; i < 100; ++i) {
    clock.Advance(absl::Milliseconds(1));
    const std::string next = ids.Next();
    EXPECT_LT(last, next);
    last = next;
  }
}

TEST(UlidGenerator, UsesOnlyCrockfordsAlphabet) {
  const SystemClock clock;
  UlidGenerator ids(clock);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(ids.Next().find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), std::string::npos);
  }
}

TEST(UlidGenerator, NeverRepeatsAcrossThreads) {
  const test::FakeClock clock;  // all in the same millisecond
  UlidGenerator ids(clock);
  std::vector<std::vector<std::string>> made(4);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&ids, &mine] {
      for (int i = 0; i < 2000; ++i) mine.push_back(ids.Next());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 8000u);
}

}  // namespace
}  // namespace floe
