#include "services/runtime/call_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

namespace floe::runtime {
namespace {

bool Never() { return false; }

TEST(CallWatchTest, WakesTheCallThatIsOverAndNoOther) {
  CallWatch watch(absl::Milliseconds(1));
  constexpr size_t kCalls = 20;
  std::atomic<size_t> over{kCalls}, woken{kCalls};
  std::atomic<int> wakes{0};
  std::vector<std::unique_ptr<CallWatch::Watched>> all;
  for (size_t i = 0; i < kCalls; ++i) {
    const auto wake = [&, i] {
      ++wakes;
      woken = i;
    };
    all.emplace_back(new CallWatch::Watched(watch.Watch([&over, i] { return over == i; }, wake)));
  }
  for (const size_t i : {size_t{3}, size_t{0}, kCalls - 1}) {
    over = i;
    while (woken != i) std::this_thread::yield();
    all[i].reset();
  }
  EXPECT_EQ(wakes, 3);
}

// The clock may have gone back between the watch's look and the call's own.
TEST(CallWatchTest, ACallThatDoesNotGoIsWokenAgainButNotEachPeriod) {
  CallWatch watch(absl::Milliseconds(1));
  std::atomic<int> wakes{0};
  std::latch twice(2);
  const auto begun = std::chrono::steady_clock::now();
  {
    const auto watched = watch.Watch([] { return true; },
                                     [&] {
                                       if (++wakes <= 2) twice.count_down();
                                     });
    twice.wait();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

// Threads come and go while rounds are under way; what a look would touch is gone with its call.
TEST(CallWatchTest, NothingOfACallIsTouchedWhenItHasGone) {
  CallWatch watch(absl::ZeroDuration());
  std::atomic<int> touched{0};
  std::atomic<int> looks{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const bool stays = i % 5 == 0;
        bool gone = false;  // read and written by one thread at a time, or TSan says so
        const auto touch = [&] {
          touched += gone;
          ++looks;
        };
        {
          const auto watched = watch.Watch(
              [&] {
                touch();
                return !stays && i % 2 == t % 2;
              },
              touch);
          if (stays) {
            for (const int before = looks; looks == before;) std::this_thread::yield();
          }
        }
        gone = true;
        touched += !gone;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(touched, 0);
  EXPECT_GT(looks, 0);
}

// A round that has begun knows it still.
TEST(CallWatchTest, WhoGoesInTheMiddleOfARoundIsNotAskedInIt) {
  CallWatch watch(absl::ZeroDuration());
  for (int i = 0; i < 20; ++i) {
    constexpr int kNobody = 2;
    std::atomic<bool> both{false};
    std::atomic<int> first{kNobody}, gone{kNobody}, asked_when_gone{0}, looks{0};
    std::latch go_on(1);
    std::vector<std::unique_ptr<CallWatch::Watched>> all;
    for (int who = 0; who < 2; ++who) {
      const auto look = [&, who] {
        int nobody = kNobody;
        if (both && first.compare_exchange_strong(nobody, who)) {
          first.notify_one();
          go_on.wait();
        }
        asked_when_gone += gone == who;
        ++looks;
        return false;
      };
      all.emplace_back(new CallWatch::Watched(watch.Watch(look, [] {})));
    }
    both = true;
    first.wait(kNobody);
    all[static_cast<size_t>(1 - first)].reset();
    gone = 1 - first;
    go_on.count_down();
    for (const int before = looks; looks < before + 3;) std::this_thread::yield();
    EXPECT_EQ(asked_when_gone, 0);
  }
}

TEST(CallWatchTest, ItEndsWhereverItIs) {
  { CallWatch idle; }
  CallWatch slow(absl::Hours(1));
  const auto watched = slow.Watch(Never, [] {});
}

}  // namespace
}  // namespace floe::runtime
