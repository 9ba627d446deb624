// Use case: an alias is pointed at a version, and the move is remembered.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

struct MoveOptions {
  std::string etag;    // empty: whatever it is now
  std::string reason;  // kept
  bool override_gates = false;
};

// Thread-safe. Borrows its parts.
class Promote {
 public:
  Promote(Models& models, const Clock& clock) : models_(models), clock_(clock) {}

  // NOT_FOUND when there is no such version (or it is another team's); INVALID_ARGUMENT when it is
  // a version of another model, or an override has no reason; ABORTED when `etag` is given and the
  // alias has moved since; FAILED_PRECONDITION (GATE_CLOSED) when the gates refuse.
  absl::StatusOr<Alias> SetAlias(const Caller& caller, const RequestKey& request,
                                 const AliasName& alias, const VersionName& version,
                                 const MoveOptions& options);

 private:
  Models& models_;
  const Clock& clock_;
};

}  // namespace floe::registry
