#include "services/gateway/clients/unary_call.h"

#include <algorithm>
#include <string>

#include "absl/time/clock.h"

#include "gateway/auth/role.h"

namespace floe::gateway {

runtime::OutgoingCall OutgoingFor(const CallScope& scope, absl::Duration at_most) {
  runtime::OutgoingCall call;
  call.identity.team = scope.caller.team;
  call.identity.role = std::string(RoleName(scope.caller.role));
  call.identity.key_id = scope.caller.key_id;
  call.identity.request_id = scope.request_id;
  if (const auto trace = runtime::ParseTraceParent(scope.traceparent)) {
    call.identity.trace = *trace;
  }
  call.deadline = std::min(scope.deadline, absl::Now() + at_most);
  return call;
}

}  // namespace floe::gateway
