#include "jobs/reaper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/jobs/fake_queue.h"
#include "tests/support/fake_clock.h"

namespace floe::jobs {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr absl::Duration kLease = absl::Seconds(30);
constexpr absl::Duration kTick = absl::Seconds(1);

class ReaperTest : public testing::Test {
 protected:
  ReaperTest() {
    queue_
        .Insert(Submit(Job{.id = "trainer-1", .team = "nlp", .kind = "pretrain", .max_attempts = 3},
                       clock_.Now()),
                {})
        .IgnoreError();
    Acquire();
  }
  void Acquire() { ASSERT_TRUE(leasing_.Acquire({"pretrain"}, "host-1")->has_value()); }
  void Heartbeat() {
    ASSERT_TRUE(leasing_.Heartbeat("nlp", "trainer-1", 1, {}).ok()) << "the lease was lost";
  }
  std::vector<Job> Tick(absl::Duration after = kTick) {
    clock_.Advance(after);
    const auto found = reaper_.Tick();
    return found.ok() ? found->expired : std::vector<Job>{};
  }
  // Ticks until `time` has passed or something expired.
  std::vector<Job> TickFor(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += kTick) {
      if (auto expired = Tick(); !expired.empty()) return expired;
    }
    return {};
  }

  test::FakeClock clock_;
  FakeQueue queue_;
  const Leasing::Options options_ = {.lease = kLease};
  Leasing leasing_{queue_, clock_, options_};
  Reaper reaper_{queue_, clock_, options_};
};

TEST_F(ReaperTest, NoticesARunnerThatFellSilent) {
  const auto expired = TickFor(kLease + 2 * kTick);
  ASSERT_THAT(expired, SizeIs(1));
  EXPECT_EQ(expired[0].state, State::kQueued);
}

TEST_F(ReaperTest, LeavesARunnerThatCalls) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(TickFor(kLease / 2), IsEmpty());
    Heartbeat();
  }
}

TEST_F(ReaperTest, AfterAnOutageOfTheQueueRunnersGetAFullLeaseToBeHeard) {
  EXPECT_THAT(TickFor(kLease / 2), IsEmpty());
  queue_.SetAway(true);
  EXPECT_THAT(TickFor(kLease * 10), IsEmpty());
  queue_.SetAway(false);
  EXPECT_THAT(TickFor(kLease - 2 * kTick), IsEmpty());
  Heartbeat();
  EXPECT_THAT(TickFor(kLease - 2 * kTick), IsEmpty());
  EXPECT_THAT(TickFor(4 * kTick), SizeIs(1)) << "and no longer than that";
}

TEST_F(ReaperTest, AfterARestartOfTheServiceToo) {
  clock_.Advance(kLease * 10);  // nobody looked
  EXPECT_THAT(Tick(), IsEmpty());
  Heartbeat();
}

TEST_F(ReaperTest, AfterTheMachineSleptToo) {
  EXPECT_THAT(TickFor(kLease * 3 / 4), IsEmpty());
  EXPECT_THAT(Tick(absl::Hours(8)), IsEmpty());
  Heartbeat();
}

TEST_F(ReaperTest, SaysThatTheQueueIsAway) {
  queue_.SetAway(true);
  EXPECT_EQ(reaper_.Tick().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace floe::jobs
