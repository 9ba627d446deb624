// The HTTP server: a port, its connections, a few threads, and an orderly end.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "services/gateway/http/exchange.h"
#include "services/gateway/http/gateway_metrics.h"
#include "services/gateway/http/limits.h"
#include "services/runtime/logging.h"

namespace floe::gateway {

// Thread-safe.
class HttpServer {
 public:
  struct Options {
    std::string listen;  // host:port, port 0 allowed; plain HTTP: TLS ends in front of it
    int threads = 2;
    HttpLimits limits;
  };
  struct Parts {  // borrowed
    HttpHandler& handler;
    GatewayMetrics& metrics;
    const runtime::Logger& logger;
  };

  // INVALID_ARGUMENT or UNAVAILABLE names the address and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Options& options, Parts parts);
  // Kills what still runs.
  ~HttpServer();

  int port() const;

  // No new connections; idle ones are closed, the others after the request under way. Returns at
  // once.
  void BeginDrain();
  // Waits until all have ended, and ends those that have not after `grace`.
  void Drain(absl::Duration grace);

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace floe::gateway
