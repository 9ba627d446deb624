// Jobs of kind `pretrain`: how this service checks them before they are queued. No torch here.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "services/jobs/job_kinds.h"
#include "services/jobs/runner_memory.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::trainer {

// Thread-safe. Borrows its parts.
class PretrainKind final : public jobs::JobKind {
 public:
  PretrainKind(registry::RegistryClient& registry, const jobs::RunnerMemory& memory)
      : registry_(registry), memory_(memory) {}

  std::string name() const override;

  // trainer/spec/pretrain_spec.h; dataset and tokenizer must be the team's, and are pinned to their
  // revisions: teams/<team>/datasets/<id>@sha256:<digest>. The blueprint is checked with the
  // tokenizer's vocabulary, and its memory with what the runners have. All that is wrong with these
  // is told at once.
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;

 private:
  registry::RegistryClient& registry_;
  const jobs::RunnerMemory& memory_;
};

}  // namespace floe::services::trainer
