// Where keys are kept: the port that gateway/auth/postgres implements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "gateway/auth/key.h"

namespace floe::gateway {

// Thread-safe; methods may block for a round trip to a database.
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  struct NewKey {
    Key key;                  // its tenant empty: the team's own
    std::string secret_hash;  // SHA-256 in hexadecimal
    std::string request_id;   // empty: none
  };
  struct Inserted {
    Key key;
    bool is_new = true;  // false: an earlier one with this request_id (same team) or this secret
  };
  // A team's first key says which tenant the team belongs to, for good; kDefaultTenant when it says
  // nothing. OtherTenant when a later one says another.
  virtual absl::StatusOr<Inserted> Insert(const NewKey& key) = 0;

  // Revoked keys too.
  virtual absl::StatusOr<std::optional<Key>> FindBySecretHash(const std::string& hash) = 0;

  // Nothing: the team has no such key.
  virtual absl::StatusOr<std::optional<Key>> Find(const std::string& team,
                                                  const std::string& id) = 0;

  // Newest first, those with an id below `before` (all when empty), at most `limit`.
  virtual absl::StatusOr<std::vector<Key>> List(const std::string& team, const std::string& before,
                                                int limit) = 0;

  // Sets revoke_time unless it is set. Nothing: the team has no such key.
  virtual absl::StatusOr<std::optional<Key>> Revoke(const std::string& team, const std::string& id,
                                                    absl::Time now) = 0;
};

// FAILED_PRECONDITION (TEAM_OF_OTHER_TENANT): `team` belongs to `tenant`, and `wanted` is another.
absl::Status OtherTenant(const std::string& team, const std::string& tenant,
                         const std::string& wanted);

}  // namespace floe::gateway
