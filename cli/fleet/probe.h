// Asks a service's side port whether it may be sent work.
#pragma once

#include <string>

#include "absl/time/time.h"

namespace floe::cli {

struct Readiness {
  bool ready = false;
  std::string detail;  // what the service says it waits for; empty when it does not answer
};

// GET http://127.0.0.1:<port>/readyz.
Readiness ProbeReady(int side_port, absl::Duration timeout);

}  // namespace floe::cli
