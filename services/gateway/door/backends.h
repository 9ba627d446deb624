// The services behind the door, each with its channel.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "services/gateway/door/door.h"
#include "services/gateway/door/route.h"

namespace floe::gateway {

struct Backend {
  Backend(std::string name, std::shared_ptr<grpc::Channel> channel)
      : name(std::move(name)), channel(channel), stub(std::move(channel)) {}

  const std::string name;                        // for people: `registry`, `inference host:port`
  const std::shared_ptr<grpc::Channel> channel;  // shared with the stub, as gRPC wants it
  grpc::GenericStub stub;
  std::atomic<int> calls{0};  // in flight through this door
};

// Thread-safe.
class Backends {
 public:
  // Makes the channels; connects to nothing yet. `own` leads to the gateway's own services.
  static absl::StatusOr<std::unique_ptr<Backends>> Create(const DoorBackends& addresses,
                                                          const runtime::CommonOptions& options,
                                                          std::shared_ptr<grpc::Channel> own);

  // Lives as long as this object. Of several workers the one with the fewest calls in flight,
  // passing over those that cannot be reached. UNAVAILABLE (BACKEND_NOT_CONFIGURED) without an
  // address.
  absl::StatusOr<Backend*> Pick(Destination destination);

 private:
  Backends() = default;
  std::vector<std::unique_ptr<Backend>>& Of(Destination destination);

  std::vector<std::unique_ptr<Backend>> gateway_, registry_, tokenizer_, trainer_, alignment_,
      billing_, workers_, retrieval_;
  std::atomic<size_t> turn_{0};
};

}  // namespace floe::gateway
