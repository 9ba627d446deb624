// Answers that lose their worker in mid-stream while no other one takes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "tests/services/gateway/http/worker_behaviours.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kStream[] =
    R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12,
        "stream": true, "seed": 99})";

absl::Status Full(int retry_after_seconds = 0) {
  const absl::Status full = absl::ResourceExhaustedError("the queue is full");
  if (retry_after_seconds == 0) return full;
  return WithReason(full, "QUEUE_FULL",
                    {{"retry_after_seconds", std::to_string(retry_after_seconds)}});
}

// What the workers of a fleet do, call after call, whichever of them is asked; then as usual.
class Script {
 public:
  explicit Script(std::vector<FakeWorker::Behaviour> calls) : calls_(std::move(calls)) {}

  FakeWorker::Behaviour Next() {
    return [this](grpc::ServerContext& context, const inference::v1::GenerateRequest& request,
                  FakeWorker::Writer& writer) {
      const size_t call = call_++;
      const auto behaviour = call < calls_.size() ? calls_[call] : FakeWorker::Usual();
      return behaviour(context, request, writer);
    };
  }
  size_t calls() const { return call_; }

 private:
  const std::vector<FakeWorker::Behaviour> calls_;
  std::atomic<size_t> call_{0};
};

// Does not wait, and keeps how long it would have. Thread-safe.
class KeptPauses {
 public:
  Pause pause() {
    return [this](absl::Duration wait) -> Awaitable<void> {
      const std::lock_guard lock(mutex_);
      waits_.push_back(wait);
      co_return;
    };
  }
  std::vector<absl::Duration> waits() const {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<absl::Duration> waits_;  // guarded by mutex_
};

class WaitingTest : public testing::Test {
 protected:
  // The answer of a fleet of two that does as scripted.
  HttpAnswer Ask(Script& script, KeptPauses& pauses, uint64_t drawn = 0) {
    fleet_.emplace(
        FakeFleetOptions{.workers = 2, .pause = pauses.pause(), .draw = [=] { return drawn; }});
    for (size_t i = 0; i < 2; ++i) fleet_->worker(i).Behave(script.Next());
    return HttpClient(fleet_->port()).Post(kChat, kStream);
  }
  static std::string Undisturbed() {
    FakeFleet fleet;
    return StreamedText(HttpClient(fleet.port()).Post(kChat, kStream));
  }

  std::optional<FakeFleet> fleet_;
};

const absl::Status kKilled = absl::UnavailableError("killed");

TEST_F(WaitingTest, AStreamThatLosesItsWorkerWaitsWhileAllOthersAreFull) {
  Script script({DieAfter(5, kKilled), Refuse(Full(3)), Refuse(Full(7)), Refuse(Full(2))});
  KeptPauses pauses;
  const HttpAnswer answer = Ask(script, pauses);
  EXPECT_EQ(StreamedText(answer), Undisturbed());
  EXPECT_EQ(EventsOf(answer.body).back(), "[DONE]");
  // After the first round only one had been asked; then both had.
  EXPECT_THAT(pauses.waits(), ElementsAre(absl::Seconds(3), absl::Seconds(2)));
  EXPECT_THAT(fleet_->metrics(), HasSubstr("floe_gateway_stream_waits_total{reason=\"full\"} 2"));
  EXPECT_THAT(fleet_->metrics(),
              HasSubstr("floe_gateway_moved_streams_total{reason=\"failure\"} 1"));
}

TEST_F(WaitingTest, FullWorkersThatDoNotSayHowLongAreAskedLessAndLessOften) {
  std::vector<FakeWorker::Behaviour> calls = {DieAfter(5, kKilled), Refuse(Full())};
  for (int i = 0; i < 2 * 6; ++i) calls.push_back(Refuse(Full()));
  Script script(calls);
  KeptPauses pauses;
  EXPECT_EQ(StreamedText(Ask(script, pauses)), Undisturbed());
  EXPECT_THAT(pauses.waits(), ElementsAre(absl::Seconds(0.2), absl::Seconds(0.4),
                                          absl::Seconds(0.8), absl::Seconds(1.6),
                                          absl::Seconds(3.2), absl::Seconds(5), absl::Seconds(5)));
}

// Three answers that lose their worker at once do not come back at once.
TEST_F(WaitingTest, AnswersThatWaitAtTheSameTimeDoNotComeBackTogether) {
  std::set<absl::Duration> waits;
  for (const uint64_t drawn : {uint64_t{0}, uint64_t{1} << 62, uint64_t{3} << 62}) {
    Script script({DieAfter(5, kKilled), Refuse(Full(4)), Refuse(Full()), Refuse(Full())});
    KeptPauses pauses;
    EXPECT_EQ(StreamedText(Ask(script, pauses, drawn)), Undisturbed());
    const std::vector<absl::Duration> kept = pauses.waits();
    ASSERT_EQ(kept.size(), 2u);
    waits.insert(kept.begin(), kept.end());
    fleet_.reset();  // before what it asks goes
  }
  EXPECT_THAT(waits, ElementsAre(absl::Seconds(0.125), absl::Seconds(0.175), absl::Seconds(0.2),
                                 absl::Seconds(4), absl::Seconds(4.5), absl::Seconds(5.5)));
}

// The only other worker is gone for good, and whoever drains comes back in time.
TEST_F(WaitingTest, AnUpgradeWhoseReplacementIsNotThereYetEndsNoStream) {
  const absl::Status handed = WithReason(absl::UnavailableError("shutting down"), "HANDED_OVER");
  const absl::Status draining = WithReason(absl::UnavailableError("shutting down"), "DRAINING");
  Script script({DieAfter(5, handed), Refuse(kKilled), Refuse(draining), Refuse(kKilled)});
  KeptPauses pauses;
  EXPECT_EQ(StreamedText(Ask(script, pauses)), Undisturbed());
  EXPECT_THAT(pauses.waits(), ElementsAre(absl::Seconds(0.2), absl::Seconds(0.4)));
  EXPECT_THAT(fleet_->metrics(), HasSubstr("floe_gateway_stream_waits_total{reason=\"away\"} 2"));
  EXPECT_THAT(fleet_->metrics(), HasSubstr("floe_gateway_moved_streams_total{reason=\"drain\"} 1"));
}

TEST_F(WaitingTest, AStreamWaitsAMinuteForWorkersThatAreAllGone) {
  std::vector<FakeWorker::Behaviour> calls = {DieAfter(5, kKilled)};
  for (int i = 0; i < 100; ++i) calls.push_back(Refuse(kKilled));
  Script script(calls);
  KeptPauses pauses;
  const HttpAnswer answer = Ask(script, pauses);
  EXPECT_EQ(json::parse(EventsOf(answer.body).back())["error"]["code"], "unavailable");
  EXPECT_EQ(StreamedText(answer), Undisturbed().substr(0, 3)) << "all but what was held back";
  absl::Duration waited;
  for (const absl::Duration wait : pauses.waits()) waited += wait;
  EXPECT_EQ(waited, absl::Minutes(1));
}

TEST_F(WaitingTest, ARequestThatHasToldNothingDoesNotWait) {
  Script script({DieAfter(0, kKilled), Refuse(Full(3))});
  KeptPauses pauses;
  const HttpAnswer answer = Ask(script, pauses);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.at("retry-after"), "3");
  EXPECT_THAT(pauses.waits(), IsEmpty());
  EXPECT_THAT(fleet_->metrics(), Not(HasSubstr("floe_gateway_stream_waits_total")));
}

// It may be the answer that kills them.
TEST_F(WaitingTest, AWorkerThatBreaksOffWhereTheAnswerWasIsNotAskedAgain) {
  Script script({DieAfter(5, kKilled), DieAfter(1, kKilled), DieAfter(1, kKilled)});
  KeptPauses pauses;
  const HttpAnswer answer = Ask(script, pauses);
  EXPECT_EQ(json::parse(EventsOf(answer.body).back())["error"]["code"], "unavailable");
  EXPECT_EQ(script.calls(), 3u);
  EXPECT_THAT(pauses.waits(), ElementsAre(absl::Seconds(0.2)));
}

// A long wait that a test can watch.
class WatchedPause {
 public:
  Pause pause() {
    return [this](absl::Duration) -> Awaitable<void> {
      const Ended ended{*this};
      Note(begun_);
      co_await PauseByTimer(absl::Hours(1));
    };
  }
  bool AwaitBegun() { return Await(begun_); }
  bool AwaitEnded() { return Await(ended_); }

 private:
  struct Ended {
    WatchedPause& owner;
    ~Ended() { owner.Note(owner.ended_); }
  };
  void Note(bool& what) {
    const std::lock_guard lock(mutex_);
    what = true;
    changed_.notify_all();
  }
  bool Await(const bool& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return what; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false;  // guarded by mutex_
  bool ended_ = false;  // guarded by mutex_
};

TEST_F(WaitingTest, AClientThatLeavesEndsTheWait) {
  WatchedPause watched;
  Script script({DieAfter(5, kKilled), Refuse(Full())});
  FakeFleet fleet({.workers = 2, .pause = watched.pause()});
  for (size_t i = 0; i < 2; ++i) fleet.worker(i).Behave(script.Next());
  HttpClient client(fleet.port());
  ASSERT_TRUE(client.Write(PostText(kChat, kStream)));
  ASSERT_TRUE(watched.AwaitBegun());
  client.Close();
  EXPECT_TRUE(watched.AwaitEnded());
  EXPECT_EQ(script.calls(), 2u);
}

// However long the workers say that it will take.
TEST_F(WaitingTest, TheRequestTimeoutEndsTheWait) {
  std::atomic<bool> longer{false};
  const auto pause = [&longer](absl::Duration wait) -> Awaitable<void> {
    if (wait > absl::Seconds(1)) longer = true;
    co_await PauseByTimer(wait);
  };
  std::vector<FakeWorker::Behaviour> calls(1000, Refuse(Full(3600)));
  calls.insert(calls.begin(), DieAfter(5, kKilled));
  Script script(calls);
  FakeFleet fleet({.workers = 2, .limits = {.request_timeout = absl::Seconds(1)}, .pause = pause});
  for (size_t i = 0; i < 2; ++i) fleet.worker(i).Behave(script.Next());
  const HttpAnswer answer = HttpClient(fleet.port()).Post(kChat, kStream);
  const json error = json::parse(EventsOf(answer.body).back())["error"];
  EXPECT_EQ(error["code"], "timeout");
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr("the time ran out while the answer waited for another worker"));
  EXPECT_FALSE(longer);
}

}  // namespace
}  // namespace floe::gateway
