#include "gateway/stages/identify.h"

#include <utility>

#include "base/error_reason.h"
#include "gateway/auth/identify.h"
#include "gateway/auth/role_table.h"

namespace floe::gateway {
namespace {

// Clients know one constant for every key that does not work; the message keeps the difference.
absl::Status AsClientsKnowIt(const absl::Status& status) {
  return absl::IsUnauthenticated(status) ? WithReason(status, "INVALID_API_KEY") : status;
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
