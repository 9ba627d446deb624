// One step of the governed request.
#pragma once

#include <string_view>

#include "absl/status/status.h"

#include "gateway/request.h"

namespace floe::gateway {

// One object serves all requests at once and is thread-safe: what belongs to a request stands in
// the request.
class Stage {
 public:
  virtual ~Stage() = default;

  // A literal; in metrics and Server-Timing.
  virtual std::string_view name() const = 0;

  // An error refuses the request: later stages are not entered.
  virtual Awaitable<absl::Status> Enter(Request& request) = 0;

  // Called exactly once for each Enter that returned OK, in reverse order, whatever happened since:
  // success, refusal, error, or a client that left. Frees what Enter took.
  virtual void Leave(Request& request) noexcept {}
};

}  // namespace floe::gateway
