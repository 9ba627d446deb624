// The side port: /metrics, /healthz (the process lives), /readyz (it may be sent work).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "services/runtime/metrics.h"

namespace floe::runtime {

// One thread of its own, small answers, no TLS: bind it where only the platform reaches it.
class SideServer {
 public:
  struct Check {
    std::string name;
    std::function<absl::Status()> check;  // called on the side server's thread; should take < 1 s
  };

  // Borrows `metrics`. `listen` is host:port, port 0 allowed.
  static absl::StatusOr<std::unique_ptr<SideServer>> Start(const std::string& listen,
                                                           const Metrics& metrics,
                                                           std::vector<Check> checks);
  ~SideServer();

  int port() const;

  // /readyz is 503 until told otherwise, and 503 with their names while checks fail.
  void SetReady(bool ready);

 private:
  struct State;
  explicit SideServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace floe::runtime
