// The orderly end: no new work, calls in flight finish or are cancelled, exit 0.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/services/runtime/http_get.h"
#include "tests/services/runtime/probe_process.h"

namespace floe::runtime {
namespace {

using ::testing::HasSubstr;

// The answer of grpc.health.v1.Health/Check for the whole server, as bytes: field 1 is the state, 1
// is SERVING and 2 NOT_SERVING. Empty when there is none.
std::string HealthBytes(const ProbeProcess& probe) {
  grpc::GenericStub stub(grpc::CreateChannel(probe.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  grpc::CompletionQueue queue;
  const grpc::Slice empty;
  const grpc::ByteBuffer nothing(&empty, 1);
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", nothing, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  grpc::Slice slice;
  if (!status.ok() || !answer.DumpToSingleSlice(&slice).ok()) return {};
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

// A call in flight: made by a thread of its own, known to have arrived.
class WaitingCall {
 public:
  explicit WaitingCall(const ProbeProcess& probe)
      : stub_(probe.Stub()), path_((folder_ / "go").string()), thread_([this] {
          tokenizer::v1::CountRequest request;
          request.set_tokenizer("wait");
          request.set_text(path_);
          tokenizer::v1::CountResponse answer;
          grpc::ClientContext context;
          status_ = stub_->Count(&context, request, &answer);
        }) {
    EXPECT_TRUE(WaitUntil([&] { return std::filesystem::exists(path_ + ".entered"); }));
  }
  ~WaitingCall() {
    if (thread_.joinable()) thread_.join();
  }
  void LetGo() { folder_.Write("go", ""); }
  bool was_cancelled() const { return std::filesystem::exists(path_ + ".cancelled"); }
  grpc::Status Status() {
    thread_.join();
    return status_;
  }

 private:
  const test::TempDir folder_;
  const std::unique_ptr<tokenizer::v1::TokenizerService::Stub> stub_;
  const std::string path_;
  grpc::Status status_;
  std::thread thread_;
};

TEST(Drain, CallsInFlightFinishAndNewOnesAreRefused) {
  ProbeProcess probe({"--insecure", "--drain-grace", "60s"});
  EXPECT_EQ(HealthBytes(probe), "\x08\x01");
  WaitingCall call(probe);
  probe.process().Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return HttpGet(probe.port("side"), "/readyz").status == 503; }));
  EXPECT_EQ(HttpGet(probe.port("side"), "/healthz").status, 200) << "it lives while it drains";

  // The door closes a moment after /readyz has said so.
  EXPECT_TRUE(WaitUntil([&] {
    tokenizer::v1::CountResponse answer;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    return probe.Stub()->Count(&context, tokenizer::v1::CountRequest(), &answer).error_code() ==
           grpc::StatusCode::UNAVAILABLE;
  }));
  EXPECT_FALSE(call.was_cancelled());
  call.LetGo();
  EXPECT_TRUE(call.Status().ok());
  EXPECT_EQ(probe.process().Wait(absl::Minutes(1)), 0);
  EXPECT_THAT(probe.log(), HasSubstr("stopped"));
}

TEST(Drain, CallsThatOutlastTheGraceAreCancelled) {
  ProbeProcess probe({"--insecure", "--drain-grace", "100ms"});
  WaitingCall call(probe);
  probe.process().Signal(SIGTERM);
  EXPECT_EQ(probe.process().Wait(absl::Minutes(1)), 0);
  EXPECT_FALSE(call.Status().ok());
  EXPECT_TRUE(call.was_cancelled());
}

TEST(Drain, AnIdleServiceEndsAtOnceOnEitherSignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    ProbeProcess probe({"--insecure", "--drain-grace", "1h"});
    probe.process().Signal(signal);
    EXPECT_EQ(probe.process().Wait(absl::Minutes(1)), 0) << signal;
  }
}

TEST(Drain, AServiceThatEndsItselfSaysWhyAndFails) {
  ProbeProcess probe;
  tokenizer::v1::CountRequest request;
  request.set_tokenizer("stop");
  tokenizer::v1::CountResponse answer;
  grpc::ClientContext context;
  EXPECT_TRUE(probe.Stub()->Count(&context, request, &answer).ok());
  EXPECT_EQ(probe.process().Wait(absl::Minutes(1)), 1);
  EXPECT_THAT(probe.log(), HasSubstr("a disk is broken"));
}

}  // namespace
}  // namespace floe::runtime
