// Which role every RPC method needs: one entry for each method of proto/floe, written out so that
// adding a method means deciding who may call it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "absl/status/status.h"

#include "gateway/auth/key.h"

namespace floe::gateway {

struct MethodRule {
  std::string_view method;    // `/floe.registry.v1.RegistryService/GetModel`
  std::optional<Role> least;  // unset: between services only, never through the door
  // A stream that lasts as long as its client likes: ended when the door drains.
  bool endless = false;
};

std::span<const MethodRule> MethodRules();

// Null when there is no such method.
const MethodRule* FindMethodRule(std::string_view method);

// PERMISSION_DENIED: ROLE_TOO_LOW names the role needed and the one there is; METHOD_INTERNAL is a
// method between services. UNIMPLEMENTED (METHOD_UNKNOWN) for one that is not in the table.
absl::Status Authorize(const Identity& identity, std::string_view method);

// The same for what is not an RPC: `what` names it (`POST /v1/chat/completions`).
absl::Status RequireRole(const Identity& identity, Role least, std::string_view what);

}  // namespace floe::gateway
