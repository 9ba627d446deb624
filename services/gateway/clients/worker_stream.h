// One generation on one worker: a gRPC server stream, pulled by a coroutine.
#pragma once

#include <memory>

#include "floe/inference/v1/inference.grpc.pb.h"
#include "gateway/ports.h"
#include "services/gateway/clients/handoff.h"
#include "services/runtime/client.h"

namespace floe::gateway {

inference::v1::GenerateRequest ToProto(const GenerateCall& call);
inference::v1::EmbedRequest ToProto(const EmbedCall& call);

// At most one message is read ahead, so a slow taker slows the worker by HTTP/2's flow control.
// Destroying it cancels the call. Used on the executor that it was made on.
class WorkerStream final : public TokenStream {
 public:
  // Starts the call; `stub` must outlive it.
  WorkerStream(inference::v1::InferenceService::Stub& stub, const runtime::OutgoingCall& call,
               inference::v1::GenerateRequest request,
               const boost::asio::any_io_executor& executor);
  ~WorkerStream() override;

  // UNAVAILABLE also when the worker ends the stream without a finish.
  Awaitable<absl::StatusOr<Piece>> Next() override;

 private:
  class Reactor;
  struct Event;  // a message, or the end
  Handoff<Event> events_;
  Reactor* const reactor_;  // owns itself until gRPC is done with it
  bool finished_ = false;
};

}  // namespace floe::gateway
