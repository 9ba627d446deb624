// Loads that fail in ways that no checkpoint is to blame for, and draft models that must not cost
// their target anything.
#include <cmath>
#include <latch>
#include <new>
#include <system_error>
#include <thread>

#include "base/error_reason.h"
#include "tests/services/inference/troubled_source.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

bool Never() { return false; }

TEST_F(WorkerTest, ALoadThatThrowsIsRefusedAndTheNextOneTriesAgain) {
  const std::string digest = Publish();
  Start();
  TroubledSource source(cache());
  ModelPool pool(source, clock_, {.serve = {.engine = {.kv_bytes = 4 << 20}}});
  source.before = [] { throw std::bad_alloc(); };
  absl::Status status = pool.Acquire(digest, Never).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(digest));
  source.before = [] {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  };
  EXPECT_EQ(pool.Acquire(digest, Never).status().code(), absl::StatusCode::kResourceExhausted);
  source.before = [] { throw std::runtime_error("odd"); };
  status = pool.Acquire(digest, Never).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("odd"));
  source.before = nullptr;
  EXPECT_TRUE(pool.Acquire(digest, Never).ok());
}

TEST_F(WorkerTest, AsManyCallsWaitForALoadAsForTheQueue) {
  const std::string digest = Publish();
  Start();
  TroubledSource source(cache());
  ModelPoolOptions options{.serve = {.engine = {.kv_bytes = 4 << 20}}};
  options.serve.scheduler.queue.requests = 1;
  ModelPool pool(source, clock_, options);
  std::latch loading(1), go_on(1), waits(1);
  source.before = [&] {
    loading.count_down();
    go_on.wait();
  };
  std::thread loader([&] { EXPECT_TRUE(pool.Acquire(digest, Never).ok()); });
  loading.wait();
  bool told = false;
  std::thread waiter([&] {
    const auto asked = [&] {
      if (!std::exchange(told, true)) waits.count_down();
      return false;
    };
    EXPECT_TRUE(pool.Acquire(digest, asked).ok());
  });
  waits.wait();
  const absl::Status refused = pool.Acquire(digest, Never).status();
  go_on.count_down();
  loader.join();
  waiter.join();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  const auto reason = ReasonOf(refused);
  ASSERT_TRUE(reason.has_value());
  EXPECT_EQ(reason->reason, "QUEUE_FULL");
  EXPECT_EQ(reason->metadata.at("retry_after_seconds"), "1");
}

class DraftFailureTest : public WorkerTest {
 protected:
  // What is said when `target` is served, which it must be, and without the draft.
  std::string ServedWithout(const std::string& target, ModelPoolOptions options) {
    options.serve.scheduler.speculation.max_draft = 4;
    std::vector<absl::Status> lost;
    options.on_lost_draft = [&](const absl::Status& status) { lost.push_back(status); };
    Start(options);
    const Answer answer = Generate(Ask(target, "a b c", 8));
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    const auto model = pool().Acquire(target, Never);
    EXPECT_TRUE(model.ok()) << model.status();
    if (!model.ok() || lost.size() != 1) return "";
    EXPECT_EQ((*model)->draft, "");
    EXPECT_EQ((*model)->bytes, alone_) << "what the draft would have taken is not counted";
    return std::string(lost[0].message());
  }
  void SetUp() override {
    target_ = Publish(0.5f, 512, "", 3);
    Start();
    alone_ = (*pool().Acquire(target_, Never))->bytes;
  }
  std::string target_;
  int64_t alone_ = 0;
};

TEST_F(DraftFailureTest, OneWhoseWeightsAreNoNumbersIsLeftOut) {
  const std::string draft = Publish(std::nanf(""), 512, "", 1);
  ModelPoolOptions options;
  options.drafts = {draft};
  const std::string said = ServedWithout(target_, options);
  EXPECT_THAT(said, HasSubstr(draft));
  EXPECT_THAT(said, HasSubstr("NaN"));
}

TEST_F(DraftFailureTest, OneThatHasNoRoomIsLeftOut) {
  const std::string draft = Publish(0.5f, 512, "", 1);
  ModelPoolOptions options;
  options.drafts = {draft};
  options.memory_bytes = alone_;
  const std::string said = ServedWithout(target_, options);
  EXPECT_THAT(said, HasSubstr(draft));
  EXPECT_THAT(said, HasSubstr("--memory-mib"));
}

}  // namespace
}  // namespace floe::inference
