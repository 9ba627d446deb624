#include "gateway/routing/pick_worker.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace floe::gateway {
namespace {

constexpr absl::Duration kNow = absl::Hours(1);

std::vector<WorkerState> Three() { return {{"a:1"}, {"b:1"}, {"c:1"}}; }

TEST(PickWorkerTest, NobodyIsNothing) {
  EXPECT_FALSE(PickWorker({}, "d", kNow));
  std::vector<WorkerState> workers = Three();
  for (WorkerState& worker : workers) worker.excluded = true;
  EXPECT_FALSE(PickWorker(workers, "d", kNow));
}

TEST(PickWorkerTest, TheLeastBusyIsTaken) {
  std::vector<WorkerState> workers = Three();
  workers[0].in_flight = 2;
  workers[1].in_flight = 1;
  workers[2].in_flight = 3;
  EXPECT_EQ(PickWorker(workers, "d", kNow), 1u);
  workers[1].excluded = true;
  EXPECT_EQ(PickWorker(workers, "d", kNow), 0u);
}

TEST(PickWorkerTest, OneThatRestsIsTakenOnlyWhenAllDoTheFirstToEnd) {
  std::vector<WorkerState> workers = Three();
  workers[0].resting_until = kNow + absl::Seconds(3);
  workers[1].in_flight = 9;
  workers[2].resting_until = kNow + absl::Seconds(2);
  EXPECT_EQ(PickWorker(workers, "d", kNow), 1u);
  workers[1].resting_until = kNow + absl::Seconds(5);
  EXPECT_EQ(PickWorker(workers, "d", kNow), 2u);
  // A rest that is over is none.
  EXPECT_NE(PickWorker(workers, "d", kNow + absl::Seconds(10)), 1u);
}

TEST(PickWorkerTest, IdleWorkersShareDigestsAndKeepThem) {
  std::map<size_t, int> taken;
  std::vector<WorkerState> fewer = Three();
  fewer[2].excluded = true;
  for (int i = 0; i < 300; ++i) {
    const std::string digest = absl::StrCat("digest-", i);
    const size_t worker = PickWorker(Three(), digest, kNow).value();
    EXPECT_EQ(PickWorker(Three(), digest, kNow), worker);
    // When another worker goes, a digest stays where it is.
    if (worker != 2) {
      EXPECT_EQ(PickWorker(fewer, digest, kNow), worker);
    }
    ++taken[worker];
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_GT(taken[i], 50);
}

TEST(PickWorkerTest, RestsDoubleUpToALimit) {
  EXPECT_EQ(RestAfter(1), absl::Milliseconds(100));
  EXPECT_EQ(RestAfter(2), absl::Milliseconds(200));
  EXPECT_EQ(RestAfter(4), absl::Milliseconds(800));
  EXPECT_EQ(RestAfter(1000), absl::Seconds(5));
}

}  // namespace
}  // namespace floe::gateway
