// Loads that fail in ways that no checkpoint is to blame for, and draft models that must not cost
// their target anything.
#include <chrono>
#include <cmath>
#include <fstream>
#include <latch>
#include <new>
#include <system_error>
#include <thread>

#include "base/error_reason.h"
#include "base/files.h"
#include "model/checkpoint.h"
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

// Between the end of a fetch, which verifies, and the load; over the store's own file.
TEST_F(WorkerTest, WhatChangesAfterItWasFetchedIsNotServedAndWhatIsMendedIs) {
  const std::string digest = Publish();
  Start();
  TroubledSource source(cache());
  ModelPool pool(source, clock_, {.serve = {.engine = {.kv_bytes = 4 << 20}}});
  const auto files = model::Manifest::Parse(*ReadFile(BlobPath(digest)))->files;
  for (const std::string name : {"model.safetensors", "tokenizer.json", "generation_config.json"}) {
    const std::filesystem::path blob = BlobPath(files.at(name).digest);
    const std::string right = *ReadFile(blob);
    std::string wrong = right;
    wrong[wrong.size() / 2] ^= 1;
    for (const std::string& bytes : {wrong, right.substr(0, right.size() - 1), std::string()}) {
      source.after = [&] { std::ofstream(blob, std::ios::binary) << bytes; };
      const absl::Status refused = pool.Acquire(digest, Never).status();
      EXPECT_THAT(refused.code(), testing::AnyOf(absl::StatusCode::kDataLoss,
                                                 absl::StatusCode::kFailedPrecondition));
      EXPECT_THAT(std::string(refused.message()), HasSubstr(name));
      std::ofstream(blob, std::ios::binary) << right;
    }
  }
  source.after = nullptr;
  EXPECT_TRUE(pool.Acquire(digest, Never).ok());
}

// While the weights are open and before they are packed: there a draft model is fetched.
TEST_F(WorkerTest, WeightsThatAreWrittenToWhileTheyAreLoadedAreNotServed) {
  const std::string digest = Publish();
  Start();
  TroubledSource source(cache());
  ModelPool pool(source, clock_,
                 {.serve = {.engine = {.kv_bytes = 4 << 20}}, .drafts = {std::string(64, 'd')}});
  const auto files = model::Manifest::Parse(*ReadFile(BlobPath(digest)))->files;
  const std::filesystem::path blob = BlobPath(files.at("model.safetensors").digest);
  const std::string right = *ReadFile(blob);
  std::function<void()> trouble;
  int fetches = 0;
  source.before = [&] {
    if (++fetches == 2) trouble();
  };
  const auto refused = [&](std::function<void()> next) {
    trouble = std::move(next);
    fetches = 0;
    // Long ago, as clocks of files may stand still for some milliseconds.
    std::filesystem::last_write_time(
        blob, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    const absl::Status status = pool.Acquire(digest, Never).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("model.safetensors"));
    std::ofstream(blob, std::ios::binary) << right;
    return status;
  };
  for (const size_t size : {right.size() - 1, right.size() / 2, size_t{0}}) {
    const absl::Status cut = refused([&] { std::filesystem::resize_file(blob, size); });
    // The former where it was verified while it was whole.
    EXPECT_THAT(cut.code(),
                testing::AnyOf(absl::StatusCode::kUnavailable, absl::StatusCode::kDataLoss));
  }
  const absl::Status written = refused(
      [&] { std::fstream(blob, std::ios::binary | std::ios::in | std::ios::out) << right[0]; });
  EXPECT_EQ(written.code(), absl::StatusCode::kUnavailable) << written;
  source.before = nullptr;
  EXPECT_TRUE(pool.Acquire(digest, Never).ok());
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
