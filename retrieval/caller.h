// On whose behalf retrieval works, until when, and what repeating a change means.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace floe::retrieval {

// What is handed on to the services that are asked on the way.
struct Caller {
  std::string team;   // empty: a service of the fleet on its own behalf, which sees every team
  std::string actor;  // the id of the key, or of the service
  std::string role;
  std::string request_id;
  std::string traceparent;  // W3C; empty: a new trace
  absl::Time deadline = absl::InfiniteFuture();
};

// A change that a client may send twice. `id` is the client's request_id, empty for none;
// `fingerprint` tells two different changes apart that were sent under one id.
struct RequestKey {
  std::string id;
  std::string method;
  std::string fingerprint;
};

// OK when `caller` belongs to `team`; otherwise NOT_FOUND for `name`, as if there were nothing:
// what another team has is not even confirmed.
absl::Status CheckOwner(const Caller& caller, std::string_view team, std::string_view name);

// The NOT_FOUND of this folder, with its reason: COLLECTION_NOT_FOUND or DOCUMENT_NOT_FOUND.
absl::Status NotFound(std::string_view name);

// OK, or INVALID_ARGUMENT: text that a person gave is UTF-8 of at most `max_bytes`, without NUL.
absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes);

}  // namespace floe::retrieval
