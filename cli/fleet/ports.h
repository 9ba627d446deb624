// Free ports of the loopback address.
#pragma once

#include <set>

#include "absl/status/statusor.h"

namespace floe::cli {

// Whether a server could listen on 127.0.0.1:<port> now.
bool IsPortFree(int port);

// A free port outside the range from which the kernel takes ports for outgoing connections, so that
// it stays free until its service starts; not one of `taken`, to which it is added. UNAVAILABLE
// when none is found.
absl::StatusOr<int> ChoosePort(std::set<int>& taken);

}  // namespace floe::cli
