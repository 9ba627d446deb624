#include "gateway/routing/pick_worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"

namespace floe::gateway {
namespace {

constexpr absl::Duration kNow = absl::Hours(1);

std::vector<WorkerState> Three() { return {{"a:1"}, {"b:1"}, {"c:1"}}; }

// Ids 0, 1, …, the first of them `first`.
std::vector<uint32_t> Prompt(uint32_t first, size_t count = 200) {
  std::vector<uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  ids.front() = first;
  return ids;
}

uint64_t Key(uint32_t prompt) { return PrefixKey("digest", "team", Prompt(prompt)); }

size_t Pick(const std::vector<WorkerState>& workers, uint64_t key) {
  return PickWorker(workers, key, kNow).value().index;
}

TEST(PrefixKeyTest, IsOneForPromptsThatBeginAlikeAndAnotherForOtherTenantsAndModels) {
  std::vector<uint32_t> other_end = Prompt(1);
  other_end[64] = 999;
  EXPECT_EQ(PrefixKey("d", "t", Prompt(1)), PrefixKey("d", "t", other_end));
  EXPECT_EQ(PrefixKey("d", "t", Prompt(1)), PrefixKey("d", "t", Prompt(1, 64)));
  std::vector<uint32_t> other_begin = Prompt(1);
  other_begin[63] = 999;
  const std::vector<uint64_t> keys = {PrefixKey("d", "t", Prompt(1)),
                                      PrefixKey("d", "t", other_begin),
                                      PrefixKey("d", "t", Prompt(1, 63)),
                                      PrefixKey("d", "u", Prompt(1)),
                                      PrefixKey("e", "t", Prompt(1)),
                                      PrefixKey("dt", "", Prompt(1)),
                                      PrefixKey("d", "t", {})};
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(std::count(keys.begin(), keys.end(), keys[i]), 1) << i;
  }
}

TEST(PickWorkerTest, NobodyIsNothing) {
  EXPECT_FALSE(PickWorker({}, 1, kNow));
  std::vector<WorkerState> workers = Three();
  for (WorkerState& worker : workers) worker.excluded = true;
  EXPECT_FALSE(PickWorker(workers, 1, kNow));
}

TEST(PickWorkerTest, OneThatRestsIsTakenOnlyWhenAllDoTheFirstToEnd) {
  for (uint32_t prompt = 0; prompt < 20; ++prompt) {
    const uint64_t key = Key(prompt);
    std::vector<WorkerState> workers = Three();
    workers[0].resting_until = kNow + absl::Seconds(3);
    workers[1].in_flight = 9;
    workers[2].resting_until = kNow + absl::Seconds(2);
    EXPECT_EQ(Pick(workers, key), 1u);
    workers[1].resting_until = kNow + absl::Seconds(5);
    EXPECT_EQ(Pick(workers, key), 2u);
    EXPECT_EQ(PickWorker(workers, key, kNow)->choice, Choice::kResting);
    // A rest that is over is none.
    EXPECT_NE(PickWorker(workers, key, kNow + absl::Seconds(10))->index, 1u);
  }
}

TEST(PickWorkerTest, PrefixesShareTheWorkersAndStayWhereTheyAreWhenOneLeavesOrComes) {
  std::map<size_t, int> taken;
  std::vector<WorkerState> resting = Three(), excluded = Three(), more = Three();
  resting[2].resting_until = kNow + absl::Seconds(1);
  excluded[2].excluded = true;
  more.push_back({"d:1"});
  int moved = 0;
  for (uint32_t prompt = 0; prompt < 300; ++prompt) {
    const uint64_t key = Key(prompt);
    const size_t worker = Pick(Three(), key);
    ++taken[worker];
    EXPECT_EQ(Pick(resting, key), Pick(excluded, key));
    if (worker != 2) {
      EXPECT_EQ(Pick(resting, key), worker);
    }
    const size_t with_more = Pick(more, key);
    EXPECT_TRUE(with_more == worker || with_more == 3u)
        << "nobody moves among those that were there";
    moved += with_more == 3u ? 1 : 0;
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_GT(taken[i], 50);
  EXPECT_GT(moved, 40);
  EXPECT_LT(moved, 120);
}

TEST(PickWorkerTest, APrefixStaysWithItsWorkerWhileThatHasNoMoreThanItsPart) {
  for (uint32_t prompt = 0; prompt < 50; ++prompt) {
    const uint64_t key = Key(prompt);
    const size_t first = Pick(Three(), key);
    std::vector<WorkerState> workers = Three();
    for (WorkerState& worker : workers) worker.in_flight = 8;
    workers[first].in_flight = 9;  // of 26 with this one: up to 10.8
    EXPECT_EQ(PickWorker(workers, key, kNow)->index, first);
    EXPECT_EQ(PickWorker(workers, key, kNow)->choice, Choice::kAffinity);
    workers[first].in_flight = 13;  // of 30: its part is 12.5
    const PickedWorker other = PickWorker(workers, key, kNow).value();
    EXPECT_NE(other.index, first);
    EXPECT_EQ(other.choice, Choice::kOverflow);
    // What overflows has a second home, the one that it would have without the first.
    workers[first].excluded = true;
    EXPECT_EQ(Pick(workers, key), other.index);
  }
}

TEST(PickWorkerTest, AHotPrefixIsSpreadAndNobodyHasMuchMoreThanItsEvenPart) {
  std::vector<WorkerState> workers = Three();
  workers.push_back({"d:1"});
  const uint64_t hot = Key(1);
  const size_t home = Pick(workers, hot);
  std::mt19937 random(5);
  std::map<size_t, int> took;
  for (int64_t calls = 1; calls <= 400; ++calls) {
    const size_t worker = Pick(workers, random() % 10 == 0 ? Key(random()) : hot);
    ++workers[worker].in_flight;
    ++took[worker];
    // By the number of calls that there were when it took its last one.
    EXPECT_LE(static_cast<double>(workers[worker].in_flight),
              1.25 * static_cast<double>(calls) / 4 + 1);
  }
  for (size_t i = 0; i < workers.size(); ++i) {
    EXPECT_LE(took[i], took[home]);
    EXPECT_GT(took[i], 0);
  }
}

TEST(PickWorkerTest, RestsDoubleUpToALimit) {
  EXPECT_EQ(RestAfter(1), absl::Milliseconds(100));
  EXPECT_EQ(RestAfter(2), absl::Milliseconds(200));
  EXPECT_EQ(RestAfter(4), absl::Milliseconds(800));
  EXPECT_EQ(RestAfter(1000), absl::Seconds(5));
}

}  // namespace
}  // namespace floe::gateway
