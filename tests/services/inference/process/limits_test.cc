// floe-inference as a process, with the options that it has by default, at its limits.
#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/services/inference/published_checkpoint.h"
#include "tests/support/child_process.h"
#include "tests/support/started.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

using Stub = v1::InferenceService::Stub;

v1::GenerateRequest Ask(const std::string& digest, const std::string& tier, int max_tokens) {
  v1::GenerateRequest request;
  request.set_checkpoint_digest(digest);
  request.set_service_tier(tier);
  for (const unsigned char c : std::string("Once")) request.add_prompt_ids(c);
  request.set_max_tokens(max_tokens);
  request.set_ignore_eos(true);
  return request;
}

struct Answer {
  absl::Status status;
  std::vector<uint32_t> ids;
};

Answer Generate(Stub& stub, const v1::GenerateRequest& request, grpc::ClientContext& context) {
  Answer answer;
  const auto stream = stub.Generate(&context, request);
  v1::GenerateResponse response;
  while (stream->Read(&response)) {
    answer.ids.insert(answer.ids.end(), response.ids().begin(), response.ids().end());
  }
  answer.status = runtime::FromGrpcStatus(stream->Finish());
  return answer;
}

// Clients that each ask once; cut when it is gone.
class Crowd {
 public:
  Crowd(Stub& stub, v1::GenerateRequest request) : stub_(stub), request_(std::move(request)) {}
  ~Crowd() {
    for (grpc::ClientContext& context : contexts_) context.TryCancel();
    for (std::thread& client : clients_) client.join();
  }

  void Join(int clients) {
    for (int i = 0; i < clients; ++i) {
      grpc::ClientContext& context = contexts_.emplace_back();
      clients_.emplace_back([this, &context] {
        Answer answer = Generate(stub_, request_, context);
        const std::lock_guard lock(mutex_);
        ended_.push_back(std::move(answer.status));
        changed_.notify_all();
      });
    }
  }
  // How the first `count` ended that have.
  std::vector<absl::Status> WaitForEnded(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::minutes(1), [&] { return ended_.size() >= count; });
    return ended_;
  }

 private:
  Stub& stub_;
  const v1::GenerateRequest request_;
  std::deque<grpc::ClientContext> contexts_;
  std::vector<std::thread> clients_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<absl::Status> ended_;  // guarded by mutex_
};

class LimitsTest : public testing::Test {
 protected:
  std::string Publish(float spread, int64_t context = 512) {
    const std::filesystem::path folder = dir_ / "checkpoint";
    const std::string digest =
        PublishCheckpoint(folder, dir_ / "blobs", {.spread = spread, .context = context});
    std::filesystem::remove_all(folder);
    return digest;
  }
  void Start(const std::string& digest) {
    test::ChildProcess::Options child;
    child.argv = {
        FLOE_INFERENCE_PROGRAM, "--insecure",   "--blob-dir",   dir_ / "blobs", "--cache-dir",
        dir_ / "cache",         "--ports-file", dir_ / "ports", "--preload",    digest};
    child.output = dir_ / "log";
    const int port = test::StartServing(child, dir_ / "ports", process_);
    stub_ = v1::InferenceService::NewStub(
        *runtime::MakeChannel(test::AddressOf(port), {}, /*insecure=*/true));
  }
  Answer Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    return inference::Generate(*stub_, request, context);
  }
  v1::WorkerStatus Status() {
    grpc::ClientContext context;
    v1::WorkerStatus status;
    EXPECT_TRUE(stub_->GetWorkerStatus(&context, {}, &status).ok());
    return status;
  }

  test::TempDir dir_;
  test::ChildProcess process_;
  std::unique_ptr<Stub> stub_;
};

void ExpectFull(const std::vector<absl::Status>& refusals) {
  for (const absl::Status& refusal : refusals) {
    EXPECT_EQ(refusal.code(), absl::StatusCode::kResourceExhausted) << refusal;
    const auto reason = ReasonOf(refusal);
    ASSERT_TRUE(reason.has_value()) << refusal;
    EXPECT_EQ(reason->reason, "QUEUE_FULL");
    int seconds = 0;
    EXPECT_TRUE(absl::SimpleAtoi(reason->metadata.at("retry_after_seconds"), &seconds));
    EXPECT_GE(seconds, 1);
  }
}

// More calls than the server of any other service has threads.
TEST_F(LimitsTest, TheQueueSaysWhoIsRefusedAndPriorityPassesACrowdThatWaits) {
  constexpr int kRunning = 16, kWaiting = 256, kTooMany = 40;
  const std::string digest = Publish(0.5f, /*context=*/1 << 17);
  Start(digest);
  Crowd crowd(*stub_, Ask(digest, "flex", 100'000));
  crowd.Join(kRunning);
  while (Status().requests_running() < kRunning) std::this_thread::yield();
  crowd.Join(kWaiting + kTooMany);
  const std::vector<absl::Status> refused = crowd.WaitForEnded(kTooMany);
  ASSERT_EQ(refused.size(), static_cast<size_t>(kTooMany));
  ExpectFull(refused);
  EXPECT_EQ(Status().requests_waiting(), kWaiting);

  const Answer answer = Generate(Ask(digest, "priority", 4));
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.ids.size(), 4u);
  const std::vector<absl::Status> displaced = crowd.WaitForEnded(kTooMany + 1);
  EXPECT_EQ(displaced.size(), static_cast<size_t>(kTooMany + 1)) << "one had to go";
  ExpectFull(displaced);
}

TEST_F(LimitsTest, WhereMemoryEndsALoadIsRefusedAndWhatIsLoadedAnswers) {
  const std::string loaded = Publish(0.5f), other = Publish(0.4f);
  Start(loaded);
  const Answer before = Generate(Ask(loaded, "", 8));
  ASSERT_TRUE(before.status.ok()) << before.status;
  rlim_t pages = 0;  // that it has mapped
  std::ifstream("/proc/" + std::to_string(process_.pid()) + "/statm") >> pages;
  const auto page = static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
  // Enough for threads and small things, too little for a KV cache of 512 MiB.
  const rlimit tight{pages * page + (rlim_t{256} << 20), RLIM_INFINITY};
  const rlimit free{RLIM_INFINITY, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(process_.pid(), RLIMIT_AS, &tight, nullptr), 0);
  const absl::Status refused = Generate(Ask(other, "", 8)).status;
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("memory"));
  const Answer after = Generate(Ask(loaded, "", 8));
  EXPECT_TRUE(after.status.ok()) << after.status;
  EXPECT_EQ(after.ids, before.ids);
  ASSERT_EQ(::prlimit(process_.pid(), RLIMIT_AS, &free, nullptr), 0);
  const Answer again = Generate(Ask(other, "", 8));
  EXPECT_TRUE(again.status.ok()) << again.status;
}

}  // namespace
}  // namespace floe::inference
