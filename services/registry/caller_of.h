// Who calls, in the registry's terms.
#pragma once

#include "registry/caller.h"
#include "services/runtime/call.h"

namespace floe::registry {

// The actor is the key's id; a service that acts on its own behalf is `service`.
inline Caller CallerOf(const runtime::CallContext& call) {
  const runtime::CallIdentity& identity = call.identity();
  return {identity.team, identity.key_id.empty() ? "service" : identity.key_id};
}

}  // namespace floe::registry
