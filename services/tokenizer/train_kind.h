// Jobs of kind `tokenizer.train`: how this service checks them before they are queued.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "services/jobs/job_kinds.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::tokenizer {

// Thread-safe. Borrows the registry's client.
class TrainKind final : public jobs::JobKind {
 public:
  explicit TrainKind(registry::RegistryClient& registry) : registry_(registry) {}

  std::string name() const override;

  // tokenizer/train_spec.h, and the dataset must be the team's; it is pinned to its revision:
  // teams/<team>/datasets/<id>@sha256:<digest>.
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;

 private:
  registry::RegistryClient& registry_;
};

}  // namespace floe::services::tokenizer
