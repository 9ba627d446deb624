#include "gateway/stages/identify.h"

#include <utility>

#include "base/error_reason.h"
#include "gateway/auth/identify.h"
#include "gateway/auth/role_table.h"

namespace floe::gateway {
namespace {

// Clients know one constant for every key that does not work; the message keeps the difference. A
// key that did its time is no mistake of theirs: a program may ask for a new one.
absl::Status AsClientsKnowIt(const absl::Status& status) {
  if (!absl::IsUnauthenticated(status)) return status;
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return reason && reason->reason == "KEY_EXPIRED" ? status : WithReason(status, "INVALID_API_KEY");
}

}  // namespace

Awaitable<absl::Status> IdentifyStage::Enter(Request& request) {
  const absl::StatusOr<std::string_view> token = BearerToken(request.authorization);
  if (!token.ok()) co_return AsClientsKnowIt(token.status());
  absl::StatusOr<Identity> caller = co_await keys_.Identify(*token);
  if (!caller.ok()) co_return AsClientsKnowIt(caller.status());
  request.scope.caller = *std::move(caller);
  co_return RequireRole(request.scope.caller, Role::kConsumer, request.what);
}

}  // namespace floe::gateway
