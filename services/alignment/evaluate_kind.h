// Jobs of kind `evaluate`: how this service checks them before they are queued.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "services/jobs/job_kinds.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::alignment {

// Thread-safe. Borrows the registry's client.
class EvaluateKind final : public jobs::JobKind {
 public:
  explicit EvaluateKind(registry::RegistryClient& registry) : registry_(registry) {}

  std::string name() const override;

  // trainer/alignment/spec/evaluate_spec.h; models and datasets must be the team's, and are pinned
  // to digests. FAILED_PRECONDITION for a dataset's format without an evaluation.
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;

 private:
  registry::RegistryClient& registry_;
};

}  // namespace floe::services::alignment
