// Use case: an alias is pointed at a version, and the move is remembered.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows its parts.
class Promote {
 public:
  Promote(Models& models, const Clock& clock) : models_(models), clock_(clock) {}

  // NOT_FOUND when there is no such version (or it is another team's); INVALID_ARGUMENT when it is
  // a version of another model; ABORTED when `etag` is given and the alias has moved since.
  absl::StatusOr<Alias> SetAlias(const Caller& caller, const RequestKey& request,
                                 const AliasName& alias, const VersionName& version,
                                 const std::string& etag, const std::string& reason);

 private:
  Models& models_;
  const Clock& clock_;
};

}  // namespace floe::registry
