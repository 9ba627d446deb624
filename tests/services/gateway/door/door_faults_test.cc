// What happens at the door when something goes away or asks too much.
#include <chrono>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

#include "tests/services/gateway/door/door_fixture.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DoorFaultsTest : public DoorTest {
 protected:
  struct Watch {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<jobs::v1::JobService::Stub> stub;
    std::unique_ptr<grpc::ClientReader<jobs::v1::JobEvent>> stream;
  };
  // A stream that has delivered its only event.
  Watch StartWatch(std::unique_ptr<grpc::ClientContext> context) {
    Watch watch;
    watch.context = std::move(context);
    watch.context->AddMetadata("x-floe-service", "trainer");
    watch.stub = StubOf<jobs::v1::JobService>();
    watch.stream = watch.stub->WatchJob(watch.context.get(), {});
    jobs::v1::JobEvent event;
    EXPECT_TRUE(watch.stream->Read(&event));
    return watch;
  }
};

TEST_F(DoorFaultsTest, AClientThatCancelsFreesTheServicesCall) {
  Watch watch = StartWatch(With(MakeKey(Role::kViewer)));
  watch.context->TryCancel();
  ASSERT_TRUE(trainer_jobs_.watch_ended.Wait());
  EXPECT_TRUE(trainer_jobs_.watch_was_cancelled);
  jobs::v1::JobEvent event;
  EXPECT_FALSE(watch.stream->Read(&event));
  EXPECT_EQ(watch.stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(DoorFaultsTest, ADeadlineThatPassesFreesTheServicesCall) {
  auto context = With(MakeKey(Role::kViewer));
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  Watch watch = StartWatch(std::move(context));
  ASSERT_TRUE(trainer_jobs_.watch_ended.Wait());
  jobs::v1::JobEvent event;
  EXPECT_FALSE(watch.stream->Read(&event));
  EXPECT_EQ(watch.stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

// Calls that end at any moment (before the key is known, in the middle, together with the answer)
// leave nothing behind: the drain, which waits for every call, returns, and each was counted once.
TEST_F(DoorFaultsTest, CallsCancelledAtAnyMomentLeaveNothingBehind) {
  const std::string secret = MakeKey(Role::kDeveloper);
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto stub = StubOf<registry::v1::BlobService>();
      for (int i = 0; i < kRounds; ++i) {
        if (i % 10 == t) identifier_->Forget(identifier_->Identify(secret)->key_id);
        auto context = With(secret);
        registry::v1::DownloadBlobRequest request;
        request.set_digest("abc");
        const auto stream = stub->DownloadBlob(context.get(), request);
        registry::v1::DownloadBlobResponse response;
        for (int reads = 0; reads < i % 13 && stream->Read(&response); ++reads) {
        }
        context->TryCancel();
        while (stream->Read(&response)) {
        }
        stream->Finish();
      }
    });
  }
  threads.clear();
  door_->Drain(absl::Now() + absl::Seconds(20));
  const std::string metrics = metrics_.Exposition();
  int64_t counted = 0;
  for (const auto line : absl::StrSplit(metrics, '\n')) {
    if (!absl::StartsWith(line, "floe_rpc_calls_total") ||
        !absl::StrContains(line, "/DownloadBlob"))
      continue;
    int64_t calls = 0;
    EXPECT_TRUE(absl::SimpleAtoi(line.substr(line.rfind(' ') + 1), &calls)) << line;
    counted += calls;
  }
  EXPECT_GT(counted, 0);
  EXPECT_LE(counted, kThreads * kRounds) << "a call cancelled at once may never have arrived";
}

TEST_F(DoorFaultsTest, AServiceThatIsAwayIsUnavailableByName) {
  const std::string secret = MakeKey(Role::kViewer);
  ASSERT_TRUE(GetModel(secret).ok());
  registry_server_.reset();
  const grpc::Status status = GetModel(secret);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonFor(status), "BACKEND_UNAVAILABLE");
  EXPECT_THAT(status.error_message(),
              AllOf(HasSubstr("registry at 127.0.0.1"), HasSubstr("cannot be reached")));
}

TEST_F(DoorFaultsTest, AServiceWithoutAnAddressIsUnavailableByItsOption) {
  DoorBackends backends = backends_;
  backends.trainer.clear();
  Restart(backends);
  auto context = With(MakeKey(Role::kViewer));
  context->AddMetadata("x-floe-service", "trainer");
  jobs::v1::Job job;
  const grpc::Status status = StubOf<jobs::v1::JobService>()->GetJob(context.get(), {}, &job);
  EXPECT_EQ(ReasonFor(status), "BACKEND_NOT_CONFIGURED");
  EXPECT_THAT(status.error_message(), HasSubstr("--trainer"));
}

TEST_F(DoorFaultsTest, AServiceThatDiesInMidStreamEndsTheClientsStream) {
  Watch watch = StartWatch(With(MakeKey(Role::kViewer)));
  trainer_server_.reset();
  jobs::v1::JobEvent event;
  EXPECT_FALSE(watch.stream->Read(&event));
  const grpc::Status status = watch.stream->Finish();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(DoorFaultsTest, AWorkerThatIsAwayIsPassedOver) {
  const std::string secret = MakeKey(Role::kViewer);
  runtime::CommonOptions options;
  options.tls = ServiceTls();
  FakeWorker other;
  auto other_server = *runtime::GrpcServer::Start(options, {&other});
  DoorBackends backends = backends_;
  backends.workers.push_back("127.0.0.1:" + std::to_string(other_server->port()));
  Restart(backends);
  const auto stub = StubOf<inference::v1::InferenceService>();
  const auto ask = [&] {
    inference::v1::WorkerStatus answer;
    return stub->GetWorkerStatus(With(secret).get(), {}, &answer);
  };
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ask().ok());
  EXPECT_EQ(worker_.calls, 5) << "idle workers take turns";
  EXPECT_EQ(other.calls, 5);
  other_server.reset();
  int failed = 0;
  for (int i = 0; i < 20; ++i) failed += !ask().ok();
  EXPECT_LE(failed, 2) << "only calls that found it out may fail";
}

TEST_F(DoorFaultsTest, AMessageAboveTheLimitIsRefused) {
  const grpc::Status status =
      GetModel(MakeKey(Role::kViewer), nullptr, std::string((64 << 20) + 1, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
}

TEST_F(DoorFaultsTest, WithoutItsDatabaseTheDoorSaysSoAndRecovers) {
  const std::string secret = MakeKey(Role::kViewer);
  test::Postgres::Shared().Stop();
  EXPECT_EQ(GetModel(secret).error_code(), grpc::StatusCode::UNAVAILABLE);
  test::Postgres::Shared().Start();
  EXPECT_TRUE(GetModel(secret).ok());
}

TEST_F(DoorFaultsTest, ADrainEndsWatchesAndLetsWorkFinish) {
  const std::string secret = MakeKey(Role::kDeveloper);
  Watch watch = StartWatch(With(secret));
  grpc::Status created;
  std::jthread client([&] {
    auto context = With(secret);
    context->AddMetadata("x-floe-service", "tokenizer");
    jobs::v1::Job job;
    created = StubOf<jobs::v1::JobService>()->CreateJob(context.get(), {}, &job);
  });
  ASSERT_TRUE(tokenizer_jobs_.create_began.Wait());
  std::jthread drain([&] { door_->Drain(absl::Now() + absl::Seconds(20)); });
  jobs::v1::JobEvent event;
  EXPECT_FALSE(watch.stream->Read(&event));
  const grpc::Status watched = watch.stream->Finish();
  EXPECT_EQ(watched.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(watched.error_message(), HasSubstr("shutting down"));
  tokenizer_jobs_.may_answer.Open();
  client.join();
  EXPECT_TRUE(created.ok()) << created.error_message();
  drain.join();
}

}  // namespace
}  // namespace floe::gateway
