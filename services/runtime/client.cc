#include "services/runtime/client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "absl/time/clock.h"

#include "base/status_macros.h"
#include "services/runtime/grpc_server.h"
#include "services/runtime/tls.h"

namespace floe::runtime {
namespace {

// gRPC calls back on threads of its own, and joins them when the last channel that used them goes.
// A call that ends may hold the last reference to its channel, on such a thread, which then joins
// itself and goes on in a queue that is gone. So one channel stays for as long as the process; it
// leads nowhere, and one call makes it a user of those threads.
void KeepCallbackThreads() {
  struct Kept {
    std::shared_ptr<grpc::Channel> channel = grpc::CreateChannel("", nullptr);
    grpc::GenericStub stub{channel};
    grpc::ClientContext context;
    grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1}, answer;
  };
  static Kept* const kept = [] {
    auto* made = new Kept;
    made->stub.UnaryCall(&made->context, "/", grpc::StubOptions(), &made->request, &made->answer,
                         [](const grpc::Status&) {});
    return made;
  }();
  static_cast<void>(kept);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const TlsFiles& tls, bool insecure) {
  if (address.empty()) {
    return absl::InvalidArgumentError(
        "the address of a service to call is empty; expected host:port");
  }
  FLOE_ASSIGN_OR_RETURN(auto credentials, MutualTlsClient(tls, insecure));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A service that restarts is found again within a second, not after two minutes of back-off.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // In spite of its name this is how long one attempt to connect may take, handshakes included: on
  // a busy machine mutual TLS needs more than a moment.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // No proxy stands between the services, whatever the environment says.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

OutgoingCall OutgoingCall::From(const CallContext& call, absl::Duration at_most) {
  return {call.identity(), std::min(call.deadline(), absl::Now() + at_most)};
}

OutgoingCall OutgoingCall::Own(std::string request_id, absl::Duration at_most) {
  OutgoingCall call;
  call.identity.request_id = std::move(request_id);
  call.identity.trace = NewTrace();
  call.deadline = absl::Now() + at_most;
  return call;
}

void PrepareCall(grpc::ClientContext& context, const OutgoingCall& call) {
  KeepCallbackThreads();
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) context.AddMetadata(key, value);
  };
  add(kTeamKey, call.identity.team);
  add(kRoleKey, call.identity.role);
  add(kKeyIdKey, call.identity.key_id);
  add(kRequestIdKey, call.identity.request_id);
  if (!call.identity.trace.trace_id.empty()) {
    add(kTraceParentKey, NewSpan(call.identity.trace).ToHeader());
  }
  if (call.deadline != absl::InfiniteFuture())
    context.set_deadline(absl::ToChronoTime(call.deadline));
}

absl::Duration RetryDelay(const RetryPolicy& policy, int attempt, double random) {
  absl::Duration delay = policy.first_delay;
  for (int i = 1; i < attempt && delay < policy.max_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_delay) * (0.5 + 0.5 * random);
}

absl::Status RetryStatus(const RetryPolicy& policy, absl::Time deadline,
                         absl::FunctionRef<absl::Status()> call) {
  std::random_device random;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = call();
    if (!absl::IsUnavailable(status) || attempt >= policy.max_attempts) return status;
    const double point = static_cast<double>(random()) / (static_cast<double>(random.max()) + 1);
    const absl::Duration delay = RetryDelay(policy, attempt, point);
    if (absl::Now() + delay >= deadline) return status;
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(delay));
  }
}

}  // namespace floe::runtime
