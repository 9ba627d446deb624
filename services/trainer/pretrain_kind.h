// Jobs of kind `pretrain`: how this service checks them before they are queued. No torch here.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "services/jobs/job_kinds.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::trainer {

// Thread-safe. Borrows the registry's client.
class PretrainKind final : public jobs::JobKind {
 public:
  // `runner_memory_mib`: what a runner's machine has for a job; 0: not known.
  PretrainKind(registry::RegistryClient& registry, int64_t runner_memory_mib)
      : registry_(registry), runner_memory_mib_(runner_memory_mib) {}

  std::string name() const override;

  // trainer/spec/pretrain_spec.h; dataset and tokenizer must be the team's, and are pinned to their
  // revisions: teams/<team>/datasets/<id>@sha256:<digest>. The blueprint is checked with the
  // tokenizer's vocabulary, and its memory with what the runners have. All that is wrong with these
  // is told at once.
  absl::StatusOr<std::string> Validate(const runtime::CallContext& call, const std::string& team,
                                       const std::string& spec) override;

 private:
  registry::RegistryClient& registry_;
  const int64_t runner_memory_mib_;
};

}  // namespace floe::services::trainer
