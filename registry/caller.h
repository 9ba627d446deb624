// On whose behalf the registry is asked, and what repeating a change means.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace floe::registry {

struct Caller {
  std::string team;   // empty: a service of the fleet on its own behalf, which sees every team
  std::string actor;  // the id of the key, or of the service
};

// A change that a client may send twice. `id` is the client's request_id, empty for none;
// `fingerprint` tells two different changes apart that were sent under one id.
struct RequestKey {
  std::string id;
  std::string method;
  std::string fingerprint;
  std::string caller_team;  // whose blobs the change may use; empty: a service, any
};

// OK when `caller` belongs to `team`; otherwise NOT_FOUND for `name`, as if there were nothing:
// what another team has is not even confirmed.
absl::Status CheckOwner(const Caller& caller, std::string_view team, std::string_view name);

// The NOT_FOUND of this folder: "no <name>; <hint>", reason <KIND>_NOT_FOUND.
absl::Status NotFound(std::string_view name);

// OK, or INVALID_ARGUMENT: free text that a person gave is at most `max_bytes` long and without
// NUL.
absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes);

}  // namespace floe::registry
