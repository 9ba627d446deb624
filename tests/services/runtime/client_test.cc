#include "services/runtime/client.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

RetryPolicy Quick() { return {.max_attempts = 4, .first_delay = absl::Microseconds(1)}; }

TEST(Retry, RepeatsWhatIsUnavailableUntilItAnswers) {
  int calls = 0;
  EXPECT_TRUE(RetryStatus(Quick(), absl::InfiniteFuture(), [&]() -> absl::Status {
                return ++calls < 3 ? absl::UnavailableError("away") : absl::OkStatus();
              }).ok());
  EXPECT_EQ(calls, 3);
}

TEST(Retry, GivesUpAfterItsAttempts) {
  int calls = 0;
  EXPECT_EQ(RetryStatus(Quick(), absl::InfiniteFuture(),
                        [&]() -> absl::Status {
                          ++calls;
                          return absl::UnavailableError("away");
                        })
                .code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls, 4);
}

TEST(Retry, OtherErrorsAreFinal) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kInternal, absl::StatusCode::kDeadlineExceeded,
        absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnknown}) {
    int calls = 0;
    EXPECT_EQ(RetryStatus(Quick(), absl::InfiniteFuture(),
                          [&] {
                            ++calls;
                            return absl::Status(code, "no");
                          })
                  .code(),
              code);
    EXPECT_EQ(calls, 1);
  }
}

TEST(Retry, DoesNotWaitBeyondTheDeadline) {
  int calls = 0;
  const RetryPolicy slow{
      .max_attempts = 10, .first_delay = absl::Hours(1), .max_delay = absl::Hours(1)};
  EXPECT_TRUE(
      absl::IsUnavailable(RetryStatus(slow, absl::Now() + absl::Seconds(60), [&]() -> absl::Status {
        ++calls;
        return absl::UnavailableError("away");
      })));
  EXPECT_EQ(calls, 1);
}

TEST(Retry, AValueComesThrough) {
  int calls = 0;
  const auto value = RetryIdempotent(Quick(), absl::InfiniteFuture(), [&]() -> absl::StatusOr<int> {
    if (++calls < 2) return absl::UnavailableError("away");
    return 7;
  });
  EXPECT_EQ(*value, 7);
}

TEST(RetryDelay, DoublesUpToItsBoundInTheUpperHalf) {
  const RetryPolicy policy{.max_attempts = 9,
                           .first_delay = absl::Milliseconds(100),
                           .max_delay = absl::Milliseconds(500)};
  EXPECT_EQ(RetryDelay(policy, 1, 0), absl::Milliseconds(50));
  EXPECT_EQ(RetryDelay(policy, 2, 0), absl::Milliseconds(100));
  EXPECT_EQ(RetryDelay(policy, 3, 0.5), absl::Milliseconds(300));
  EXPECT_EQ(RetryDelay(policy, 60, 0), absl::Milliseconds(250));
}

TEST(OutgoingCall, OfTheServicesOwnIsANewTraceWithADeadline) {
  const OutgoingCall call = OutgoingCall::Own("request-1", absl::Seconds(5));
  EXPECT_EQ(call.identity.request_id, "request-1");
  EXPECT_EQ(call.identity.team, "");
  EXPECT_EQ(call.identity.trace.trace_id.size(), 32u);
  EXPECT_LE(call.deadline, absl::Now() + absl::Seconds(5));
  grpc::ClientContext context;
  PrepareCall(context, call);
  EXPECT_EQ(absl::FromChrono(context.deadline()), call.deadline);
}

TEST(MakeChannel, NeedsAnAddressAndCertificates) {
  EXPECT_EQ(MakeChannel("", {}, true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeChannel("localhost:1", {}, false).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// A server that takes connections and does not answer yet, as one on a busy machine.
class SlowListener {
 public:
  SlowListener() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~SlowListener() { ::close(fd_); }

  const std::string& address() const { return address_; }
  int Accept() { return ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

 private:
  int fd_ = -1;
  std::string address_;
};

// The time of one attempt to connect once was 100 ms, which a TLS handshake exceeds under load.
TEST(MakeChannel, GivesAServerOnABusyMachineTimeToGreet) {
  SlowListener listener;
  const auto channel = *MakeChannel(listener.address(), {}, /*insecure=*/true);
  grpc::ServerBuilder builder;
  grpc::AsyncGenericService any;  // all calls wait; that they are sent is what counts
  const auto queue = builder.AddCompletionQueue();
  builder.RegisterAsyncGenericService(&any);
  const auto server = builder.BuildAndStart();

  channel->GetState(/*try_to_connect=*/true);
  const auto until = std::chrono::system_clock::now() + std::chrono::milliseconds(500);
  EXPECT_FALSE(channel->WaitForConnected(until));
  EXPECT_EQ(channel->GetState(false), GRPC_CHANNEL_CONNECTING) << "it gave up";
  grpc::AddInsecureChannelFromFd(server.get(), listener.Accept());
  EXPECT_TRUE(
      channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20)));
  server->Shutdown();
  queue->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
  }
}

// What a service does that ends while its last call does.
TEST(PrepareCall, ACallMayHoldTheLastReferenceToItsChannel) {
  struct Call {
    grpc::ClientContext context;
    grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1}, answer;
  };
  for (int i = 0; i < 300; ++i) {
    auto call = std::make_unique<Call>();
    PrepareCall(call->context, OutgoingCall::Own("id", absl::Seconds(10)));
    grpc::Status status;
    absl::Notification done;
    {
      grpc::GenericStub stub(
          MakeChannel("unix:/nobody-listens-here", {}, /*insecure=*/true).value());
      stub.UnaryCall(&call->context, "/a.B/C", {}, &call->request, &call->answer,
                     [&](grpc::Status ended) {
                       status = std::move(ended);
                       call.reset();  // with it the channel goes, on gRPC's thread
                       done.Notify();
                     });
    }
    done.WaitForNotification();
    ASSERT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  }
}

}  // namespace
}  // namespace floe::runtime
