// A unary RPC as something to await.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"

#include "gateway/ports.h"
#include "services/gateway/clients/handoff.h"
#include "services/gateway/clients/pause.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "services/runtime/trace.h"

namespace floe::gateway {

// The metadata and deadline of a call on behalf of a request, at most `at_most` from now.
runtime::OutgoingCall OutgoingFor(const CallScope& scope, absl::Duration at_most);

// Starts the call by `start(context, request, answer, on_done)`: a method of stub->async(). An
// UNAVAILABLE call is repeated, up to `attempts` times in all: more than once only for reads.
// Cancelling the coroutine cancels the call.
template <typename Answer, typename Request, typename Start>
Awaitable<absl::StatusOr<Answer>> CallUnary(runtime::OutgoingCall call, Request request,
                                            Start start, int attempts = 3) {
  struct State {  // lives until gRPC is done with it
    grpc::ClientContext context;
    Request request;
    Answer answer;
  };
  struct CancelOnExit {
    std::shared_ptr<State> state;
    ~CancelOnExit() { state->context.TryCancel(); }  // of a call that has ended: nothing
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  for (int attempt = 1;; ++attempt) {
    const auto state = std::make_shared<State>();
    state->request = request;
    runtime::PrepareCall(state->context, call);
    Handoff<grpc::Status> done(executor);
    const CancelOnExit cancel{state};
    start(&state->context, &state->request, &state->answer,
          [state, give = done.giver()](grpc::Status status) { give(std::move(status)); });
    const grpc::Status status = co_await done.Take();
    if (status.ok()) co_return std::move(state->answer);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || attempt == attempts) {
      co_return runtime::FromGrpcStatus(status);
    }
    const absl::Duration delay = runtime::RetryDelay({}, attempt, 0.5);
    co_await PauseByTimer(delay);
  }
}

}  // namespace floe::gateway
