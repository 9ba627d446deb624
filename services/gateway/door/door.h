// The door: the one way into the fleet over gRPC. Any method of any service is forwarded, bytes
// untouched, once the API key (`authorization: Bearer floe-…`) and its role have been checked.
//
//   client --TLS, key--> door --mTLS, x-floe-team/-role/-key-id--> registry, tokenizer, trainer, a
//   worker
//                          \--in process--> the gateway's own services
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/id.h"
#include "gateway/auth/identify.h"
#include "services/runtime/call.h"
#include "services/runtime/options.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace floe::gateway {

// Addresses of the services behind the door, host:port; an empty one is answered UNAVAILABLE.
struct DoorBackends {
  std::string registry;
  std::string tokenizer;
  std::string trainer;
  std::string alignment;
  std::string billing;
  std::vector<std::string> workers;
  std::string retrieval;
};

// Thread-safe. No thread a call: calls run on gRPC's callback threads, keys that are not remembered
// are looked up on a few threads of the door's own. A stream holds one message a direction, so a
// slow reader slows its writer. Deadlines, cancellation, half-closes, metadata and status details
// pass both ways; what a client sends as x-floe-* does not. The standard health service and
// reflection (of the door alone) need no key.
class Door {
 public:
  // Parts are borrowed, and so are the services, which see the same metadata as a backend would.
  struct Parts {
    runtime::Calls& calls;
    Identifier& identifier;
    IdGenerator& ids;
    std::vector<grpc::Service*> services;
  };

  // Listens on `options.listen`: TLS with the server's certificate and none of the client's; plain
  // on a loopback address when `options.insecure`. Health answers NOT_SERVING until SetServing. To
  // the backends it speaks mutual TLS with the same files.
  static absl::StatusOr<std::unique_ptr<Door>> Start(const runtime::CommonOptions& options,
                                                     const DoorBackends& backends, Parts parts);
  ~Door();

  int port() const;
  void SetServing(bool serving);

  // Health NOT_SERVING, no new calls; endless streams (WatchJob) end with UNAVAILABLE; the others
  // have until `deadline`, when they are cancelled. Returns when all have ended. Once.
  void Drain(absl::Time deadline);

 private:
  struct State;
  explicit Door(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace floe::gateway
