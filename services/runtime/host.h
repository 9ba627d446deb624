// The frame of a binary: its log, metrics, side port, gRPC server and orderly end. A main builds
// its parts bottom-up on the host's, and hands the RPC adapters to Serve(). See README.md.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "base/id.h"
#include "services/runtime/call.h"
#include "services/runtime/config.h"
#include "services/runtime/grpc_server.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"
#include "services/runtime/peers.h"
#include "services/runtime/shutdown.h"
#include "services/runtime/side_server.h"

namespace floe::runtime {

// Built on the main thread after BlockShutdownSignals(). What it lends lives as long as it does, so
// it is the first part that main builds.
class Host {
 public:
  // `service` is the short name: `registry`. `peers` are the rules for its methods. Logs the
  // effective configuration.
  static absl::StatusOr<std::unique_ptr<Host>> Create(std::string service,
                                                      const CommonOptions& options,
                                                      const Config& config, PeerRules peers = {});

  const Logger& logger() const { return logger_; }
  Metrics& metrics() { return metrics_; }
  const Clock& clock() const { return clock_; }
  IdGenerator& ids() { return ids_; }
  Calls& calls() { return calls_; }
  const CommonOptions& options() const { return options_; }

  // Before Serve(). A check of /readyz.
  void AddReadyCheck(std::string name, std::function<absl::Status()> check);
  // Before Serve(). A further port for the ports file: `http`.
  void AddPort(std::string name, int port);
  // Before Serve(). Called when the drain begins, in reverse order of adding, while calls in flight
  // still run: wake long waits, stop taking work.
  void OnDrain(std::function<void()> drain);

  // Starts the servers, writes the ports file, and returns after SIGTERM, SIGINT or RequestStop()
  // once everything has drained: OK, or the status given to RequestStop(). Without services there
  // is no gRPC port. Borrows the services.
  absl::Status Serve(const std::vector<grpc::Service*>& services);

  // From any thread: end as if SIGTERM had come; Serve() returns `status`.
  void RequestStop(absl::Status status);

 private:
  Host(std::string service, const CommonOptions& options, LogLevel level, PeerRules peers);
  absl::Status WritePorts();

  const std::string service_;
  const CommonOptions options_;
  SystemClock clock_;
  UlidGenerator ids_;
  Logger logger_;
  Metrics metrics_;
  Calls calls_;
  ShutdownSignal shutdown_;
  std::vector<SideServer::Check> checks_;
  std::map<std::string, int> ports_;
  std::vector<std::function<void()>> on_drain_;
  std::mutex mutex_;
  absl::Status stop_status_;  // guarded by mutex_
};

// The whole of main's error handling: runs `body`, prints its status to stderr when it fails, and
// gives the exit code (0 or 1).
int ExitCode(const absl::Status& status);

}  // namespace floe::runtime
