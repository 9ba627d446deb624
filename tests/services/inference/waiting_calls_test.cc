// Calls that wait, for a load or for events: who looks after them, and what ends the wait.
#include <latch>
#include <list>
#include <mutex>
#include <set>
#include <thread>

#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "tests/services/inference/crowd.h"
#include "tests/services/inference/troubled_source.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

constexpr int kLong = 8000;  // ids: half a second of work
constexpr int kMany = 16;    // of them

std::string ReasonOf(const grpc::Status& status) {
  const auto reason = floe::ReasonOf(runtime::FromGrpcStatus(status));
  return reason ? reason->reason : "";
}

std::chrono::system_clock::time_point Soon() {
  return std::chrono::system_clock::now() + std::chrono::seconds(1);
}

// Until it is so, for at most 20 s.
template <typename Condition>
bool Becomes(const Condition& so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Keeps who asks for the time, which a look at a call does.
class KeptLooks final : public Clock {
 public:
  absl::Time Now() const override {
    const std::lock_guard lock(mutex_);
    ++looks_;
    threads_.insert(std::this_thread::get_id());
    return clock_.Now();
  }
  absl::Duration Monotonic() const override { return clock_.Monotonic(); }
  void Forget() {
    const std::lock_guard lock(mutex_);
    looks_ = 0;
    threads_.clear();
  }
  int looks() const {
    const std::lock_guard lock(mutex_);
    return looks_;
  }
  size_t threads() const {
    const std::lock_guard lock(mutex_);
    return threads_.size();
  }

 private:
  const SystemClock clock_;
  mutable std::mutex mutex_;
  mutable int looks_ = 0;                      // guarded by mutex_
  mutable std::set<std::thread::id> threads_;  // guarded by mutex_
};

class WaitingCallsTest : public WorkerTest {
 protected:
  const Clock& RpcClock() override { return looks_; }
  void StartOneByOne() {
    digest_ = Publish(0.5f, /*context=*/kLong);
    Start({.serve = {.engine = {.num_threads = 1}, .scheduler = {.plan = {.max_running = 1}}}});
  }
  // A score of many seconds whose client leaves, by its deadline where `context` has one.
  grpc::StatusCode ScoreAndLeave(grpc::ClientContext& context) {
    EXPECT_TRUE(pool().Acquire(digest_, [] { return false; }).ok());
    v1::ScoreRequest request;
    request.set_checkpoint_digest(digest_);
    for (int i = 0; i < kMany; ++i) {
      auto& sequence = *request.add_sequences();
      sequence.set_score_from(kLong - 1);
      for (int id = 0; id < kLong; ++id) sequence.add_ids(static_cast<uint32_t>(id % 250));
    }
    std::thread leaver([&] {
      EXPECT_TRUE(Becomes([&] { return Stats().steps > 0; }));
      if (context.deadline() == std::chrono::system_clock::time_point::max()) context.TryCancel();
    });
    v1::ScoreResponse response;
    const grpc::Status status = stub().Score(&context, request, &response);
    leaver.join();
    return status.error_code();
  }
  SchedulerStats Stats() { return pool().Loaded().at(0)->scheduler->stats(); }
  void ExpectNothingHeld() {
    ASSERT_TRUE(pool().Loaded().at(0)->scheduler->WaitIdle(absl::Seconds(60)));
    EXPECT_EQ(Stats().running + Stats().waiting, 0);
    EXPECT_EQ(Stats().kv.free_blocks, Stats().kv.total_blocks);
  }
  // Of the score above a part was computed, and nothing is held.
  void ExpectLeftInItsMiddle() {
    ExpectNothingHeld();
    EXPECT_GT(Stats().step_tokens, 0);
    EXPECT_LT(Stats().step_tokens, kMany * kLong / 2);
  }

  KeptLooks looks_;
  std::string digest_;
};

// With hundreds of them, each wake would cost more than the look.
TEST_F(WaitingCallsTest, OneThreadLooksAfterAllCallsThatWait) {
  StartOneByOne();
  Crowd crowd(stub(), LongPrompt(digest_, kLong - 1), 1 + kMany);
  ASSERT_TRUE(crowd.Await(kMany));
  looks_.Forget();
  ASSERT_TRUE(Becomes([&] { return looks_.looks() > 20 * kMany; }));
  EXPECT_EQ(looks_.threads(), 1u);
}

TEST_F(WaitingCallsTest, WhatAClientHasLeftIsComputedNoFurther) {
  StartOneByOne();
  grpc::ClientContext context;
  EXPECT_EQ(ScoreAndLeave(context), grpc::StatusCode::CANCELLED);
  ExpectLeftInItsMiddle();
}

TEST_F(WaitingCallsTest, WhatHasNoTimeLeftIsComputedNoFurther) {
  StartOneByOne();
  grpc::ClientContext context;
  context.set_deadline(Soon());
  // When the time is up, or before, as soon as it is clear that the rest cannot be in time.
  EXPECT_THAT(ScoreAndLeave(context), testing::AnyOf(grpc::StatusCode::DEADLINE_EXCEEDED,
                                                     grpc::StatusCode::RESOURCE_EXHAUSTED));
  ExpectLeftInItsMiddle();
}

TEST_F(WaitingCallsTest, AWorkerThatEndsHandsOverWhatWaitsToo) {
  StartOneByOne();
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  std::list<Stream> streams;
  for (int i = 0; i < 1 + kMany; ++i) {
    Stream& stream = streams.emplace_back();
    stream.reader = stub().Generate(&stream.context, LongPrompt(digest_, kLong - 1));
  }
  ASSERT_TRUE(Becomes([&] { return !pool().Loaded().empty() && Stats().waiting == kMany; }));
  rpc().EndBy(clock_.Now());
  int handed_over = 0;
  for (Stream& stream : streams) {
    v1::GenerateResponse response;
    while (stream.reader->Read(&response)) {
    }
    const grpc::Status status = stream.reader->Finish();
    if (status.ok()) continue;
    EXPECT_EQ(ReasonOf(status), "HANDED_OVER") << status.error_message();
    ++handed_over;
  }
  EXPECT_GT(handed_over, kMany / 2) << "it ended at once";
  ExpectNothingHeld();
}

// Of a load that does not end before the test says so.
class WaitingForALoadTest : public WorkerTest {
 protected:
  WeightSource& Source() override { return source_.emplace(cache()); }
  void SetUp() override {
    digest_ = Publish();
    ModelPoolOptions options;
    options.serve.scheduler.queue.requests = 1;
    Start(options);
    source_->before = [this] {
      loading_.count_down();
      go_on_.wait();
    };
    loader_ = std::thread([this] { EXPECT_TRUE(Load(nullptr).ok()); });
    loading_.wait();
  }
  void TearDown() override {
    go_on_.count_down();
    loader_.join();
  }

  grpc::Status Load(grpc::ClientContext* context) {
    grpc::ClientContext own;
    own.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::LoadCheckpointRequest request;
    request.set_digest(digest_);
    v1::WorkerStatus::LoadedCheckpoint loaded;
    return stub().LoadCheckpoint(context == nullptr ? &own : context, request, &loaded);
  }
  // Whether somebody waits for the load: there is room for one.
  bool IsWaitedFor() {
    return absl::IsResourceExhausted(pool().Acquire(digest_, [] { return true; }).status());
  }

  std::string digest_;
  std::optional<TroubledSource> source_;
  std::latch loading_{1}, go_on_{1};
  std::thread loader_;
};

TEST_F(WaitingForALoadTest, WhoLeavesIsNotWaitedFor) {
  grpc::ClientContext context;
  std::thread waiter([&] { EXPECT_EQ(Load(&context).error_code(), grpc::StatusCode::CANCELLED); });
  ASSERT_TRUE(Becomes([&] { return IsWaitedFor(); }));
  context.TryCancel();
  EXPECT_TRUE(Becomes([&] { return !IsWaitedFor(); }));
  waiter.join();
}

TEST_F(WaitingForALoadTest, WhoHasNoTimeLeftIsNotWaitedFor) {
  grpc::ClientContext context;
  context.set_deadline(Soon());
  EXPECT_EQ(Load(&context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Becomes([&] { return !IsWaitedFor(); }));
}

TEST_F(WaitingForALoadTest, AWorkerThatEndsRefusesWhoWaits) {
  std::thread waiter([&] { EXPECT_EQ(ReasonOf(Load(nullptr)), "DRAINING"); });
  ASSERT_TRUE(Becomes([&] { return IsWaitedFor(); }));
  rpc().EndBy(clock_.Now() + absl::Hours(1));
  waiter.join();
}

}  // namespace
}  // namespace floe::inference
