// An API key as it is kept: everything but its secret.
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"

#include "gateway/auth/role.h"

namespace floe::gateway {

struct Key {
  std::string id;  // a ULID: sorts by the time of making
  std::string team;
  std::string display_name;
  Role role = Role::kViewer;
  std::string prefix;  // of the secret, to recognise it
  absl::Time create_time;
  std::optional<absl::Time> revoke_time;  // unset while it works
};

// Whose call it is.
struct Identity {
  std::string team;
  Role role = Role::kViewer;
  std::string key_id;
};

inline constexpr char kDefaultTeam[] = "default";

// An admin of the team `default` may name other teams than its own.
inline bool IsFleetAdmin(const Identity& identity) {
  return identity.role == Role::kAdmin && identity.team == kDefaultTeam;
}

}  // namespace floe::gateway
