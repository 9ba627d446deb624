// An API key as it is kept: everything but its secret.
#pragma once

#include <optional>
#include <string>
#include <vector>

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
  std::optional<absl::Time> revoke_time;  // unset unless it was revoked
  std::optional<absl::Time> expire_time;  // from then on it does not work; unset: it works for ever
  // What it narrows the team's policy to (gateway/allowed); none: all that the policy allows.
  std::vector<std::string> models;
  std::vector<std::string> tiers;
  std::string tenant;  // the team's
};

// Whose call it is.
struct Identity {
  std::string team;
  Role role = Role::kViewer;
  std::string key_id;
  std::string tenant;               // that the team belongs to
  std::vector<std::string> models;  // of the key, as `tiers`
  std::vector<std::string> tiers;
};

inline bool IsExpired(const Key& key, absl::Time now) {
  return key.expire_time && *key.expire_time <= now;
}

inline constexpr char kDefaultTeam[] = "default";
inline constexpr char kDefaultTenant[] = "default";

// An admin of the team `default` may name other teams than its own.
inline bool IsFleetAdmin(const Identity& identity) {
  return identity.role == Role::kAdmin && identity.team == kDefaultTeam;
}

}  // namespace floe::gateway
