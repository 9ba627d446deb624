// What people write for a dataset or a model in a specification, resolved within their team.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "services/registry/client/registry_client.h"
#include "services/runtime/call.h"

namespace floe::services::alignment {

// The registry asked on behalf of a caller for the job's team. Borrows the client.
class References {
 public:
  References(registry::RegistryClient& registry, const runtime::CallContext& call,
             const std::string& team);

  // `reference` is an id or teams/<team>/datasets/<id>, maybe with @sha256:<digest>; `key` is what
  // it stands under. NOT_FOUND says what to do first; INVALID_ARGUMENT for another team's.
  absl::StatusOr<registry::v1::Dataset> Dataset(const std::string& key,
                                                const std::string& reference);
  // <model>@<alias>, <model>@<number>, <model>@latest, sha256:<digest>, or a version's resource
  // name with or without @sha256:<digest>.
  absl::StatusOr<registry::v1::ModelVersion> Version(const std::string& key,
                                                     const std::string& reference);

 private:
  absl::StatusOr<registry::v1::ModelVersion> Find(const std::string& reference);

  registry::RegistryClient& registry_;
  const std::string team_;
  runtime::OutgoingCall outgoing_;
};

// <name>@sha256:<digest>: what the executor gets.
std::string Pinned(const registry::v1::Dataset& dataset);
std::string Pinned(const registry::v1::ModelVersion& version);

}  // namespace floe::services::alignment
