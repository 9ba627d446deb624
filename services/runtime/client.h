// Calls to other services: channels, metadata, deadlines, and repeating what is safe to repeat.
//
//   auto status = RetryIdempotent({}, deadline, [&]() -> absl::Status {
//     grpc::ClientContext context;
//     PrepareCall(context, OutgoingCall::From(call, absl::Seconds(5)));
//     return FromGrpcStatus(stub->GetModel(&context, request, &answer));
//   });
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "services/runtime/call.h"
#include "services/runtime/options.h"

namespace floe::runtime {

// A channel reconnects by itself and is shared by all threads; make one a peer. `address` is
// host:port (or unix:path with `insecure`). No connection is made yet.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const TlsFiles& tls, bool insecure);

// What a call takes along.
struct OutgoingCall {
  CallIdentity identity;
  absl::Time deadline = absl::InfiniteFuture();

  // On behalf of an incoming call: its identity and trace, and its deadline or `at_most` from now,
  // whichever comes first.
  static OutgoingCall From(const CallContext& call, absl::Duration at_most);
  // Work of the service's own: a new trace.
  static OutgoingCall Own(std::string request_id, absl::Duration at_most);
};

// Sets deadline and metadata (with a new span of the trace).
void PrepareCall(grpc::ClientContext& context, const OutgoingCall& call);

struct RetryPolicy {
  int max_attempts = 4;
  absl::Duration first_delay = absl::Milliseconds(50);
  absl::Duration max_delay = absl::Seconds(2);
};

// How long to wait after failed attempt number `attempt` (from 1): doubling, with `random` in [0,
// 1) choosing a point in the upper half.
absl::Duration RetryDelay(const RetryPolicy& policy, int attempt, double random);

// Repeats `call` while it answers UNAVAILABLE and `deadline` allows another wait. Only for calls
// that may happen twice: reads, and mutations with a request_id.
absl::Status RetryStatus(const RetryPolicy& policy, absl::Time deadline,
                         absl::FunctionRef<absl::Status()> call);

// The same for functions that return absl::Status or absl::StatusOr<T>.
template <typename Fn>
auto RetryIdempotent(const RetryPolicy& policy, absl::Time deadline, Fn&& call)
    -> std::invoke_result_t<Fn> {
  using Result = std::invoke_result_t<Fn>;
  if constexpr (std::is_same_v<Result, absl::Status>) {
    return RetryStatus(policy, deadline, call);
  } else {
    Result result = absl::UnknownError("the call was not tried");
    RetryStatus(policy, deadline, [&] {
      result = call();
      return result.status();
    }).IgnoreError();
    return result;
  }
}

}  // namespace floe::runtime
