#include "services/gateway/clients/key_lookup.h"

#include <string>
#include <utility>

#include "services/gateway/clients/handoff.h"

namespace floe::gateway {

Awaitable<absl::StatusOr<Identity>> IdentifierLookup::Identify(std::string_view secret) {
  if (auto known = identifier_.Cached(secret)) co_return *std::move(known);
  auto ask = [this, secret = std::string(secret)] { return identifier_.Identify(secret); };
  co_return co_await RunOn(pool_, std::move(ask));
}

}  // namespace floe::gateway
