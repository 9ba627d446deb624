// A gRPC server as every service has it: mTLS, the standard health service, reflection, keepalive,
// message sizes up to 64 MiB, a bound on threads.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "services/runtime/options.h"

namespace grpc {
class ServerBuilder;
}  // namespace grpc

namespace floe::runtime {

inline constexpr int kMaxMessageBytes = 64 << 20;

// Keepalive, message sizes and threads: what the gateway's door shares too.
void SetServerLimits(grpc::ServerBuilder& builder, int max_threads);

class GrpcServer {
 public:
  // Listens and answers health checks with NOT_SERVING; borrows `services`.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const CommonOptions& options, const std::vector<grpc::Service*>& services);
  ~GrpcServer();

  int port() const { return port_; }
  void SetServing(bool serving);

  // Health NOT_SERVING, no new calls, `grace` for those in flight, which are cancelled afterwards.
  // Returns when all have ended.
  void Drain(absl::Duration grace);

 private:
  GrpcServer() = default;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace floe::runtime
