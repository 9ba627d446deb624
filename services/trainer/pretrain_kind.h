// Jobs of kind `pretrain`: how this service checks them before they are queued. No torch here.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "services/jobs/job_kinds.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::trainer {

// Thread-safe. Borrows the registry's client.
class PretrainKind final : public jobs::JobKind {
 public:
  explicit PretrainKind(registry::RegistryClient& registry) : registry_(registry) {}

  std::string name() const override;

  // trainer/spec/pretrain_spec.h; dataset and tokenizer must be the team's, and are pinned to their
  // revisions: teams/<team>/datasets/<id>@sha256:<digest>. The blueprint is checked with the
  // tokenizer's vocabulary.
  absl::StatusOr<std::string> Validate(const runtime::CallContext& call, const std::string& team,
                                       const std::string& spec) override;

 private:
  registry::RegistryClient& registry_;
};

}  // namespace floe::services::trainer
