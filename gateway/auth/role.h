// What a key may do. Roles are ordered: each may do what the ones before it may.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

namespace floe::gateway {

enum class Role {
  kViewer,     // look: Get, List, Watch
  kConsumer,   // and use models: inference, encode, decode
  kDeveloper,  // and make things: data, tokenizers, models, jobs; promote
  kAdmin,      // and say who may come in: keys
};

// INVALID_ARGUMENT lists the four names.
absl::StatusOr<Role> ParseRole(std::string_view name);

// `viewer`, `consumer`, `developer`, `admin`.
std::string_view RoleName(Role role);

}  // namespace floe::gateway
