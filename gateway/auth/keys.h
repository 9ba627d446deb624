// Making, listing and ending API keys.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/auth/identify.h"
#include "gateway/auth/key_store.h"

namespace floe::gateway {

// Thread-safe; methods may block on the store. Every one needs the role admin, and may name the
// caller's team only, unless the caller IsFleetAdmin: PERMISSION_DENIED otherwise.
class Keys {
 public:
  struct Parts {
    KeyStore& store;
    Identifier& identifier;
    const Clock& clock;
    IdGenerator& ids;
  };
  explicit Keys(Parts parts) : parts_(parts) {}

  struct Wanted {
    std::string team;
    std::string display_name;
    Role role = Role::kViewer;
    std::string request_id;
    std::string tenant;  // empty: the team's own, which for a new team is `default`
    std::optional<absl::Time> expire_time;
    std::vector<std::string> models;  // patterns (gateway/allowed); empty: narrows nothing
    std::vector<std::string> tiers;
  };
  struct Created {
    Key key;
    std::string secret;  // empty when the request was a repetition
  };
  // INVALID_ARGUMENT names what cannot be: an expiry that is past, a tier that does not exist.
  // ALREADY_EXISTS (REQUEST_ID_REUSED) when the request_id was used for another key.
  // FAILED_PRECONDITION (TEAM_OF_OTHER_TENANT): a team stays in the tenant of its first key.
  absl::StatusOr<Created> Create(const Identity& caller, const Wanted& wanted);

  struct Page {
    std::vector<Key> keys;        // newest first
    std::string next_page_token;  // empty on the last page
  };
  // `page_size` 0 means 50; above 1000 is 1000.
  absl::StatusOr<Page> List(const Identity& caller, const std::string& team, int page_size,
                            const std::string& page_token);

  // NOT_FOUND.
  absl::StatusOr<Key> Get(const Identity& caller, const std::string& team, const std::string& id);

  // Counts at once here (see Identifier for elsewhere). A second time changes nothing. NOT_FOUND.
  absl::StatusOr<Key> Revoke(const Identity& caller, const std::string& team,
                             const std::string& id);

  // At start: stores the admin key of the team `default` that `secret` is, when there is no such
  // key yet. INVALID_ARGUMENT when it is malformed; FAILED_PRECONDITION when it was revoked, has
  // expired or is not an admin's.
  absl::Status EnsureBootstrap(const std::string& secret);

 private:
  Parts parts_;
};

}  // namespace floe::gateway
