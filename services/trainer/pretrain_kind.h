// Jobs of kind `pretrain`: how this service checks them before they are queued. No torch here.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "jobs/runners.h"
#include "services/jobs/job_kinds.h"
#include "services/registry/client/registry_client.h"

namespace floe::services::trainer {

// Thread-safe. Borrows its parts.
class PretrainKind final : public jobs::JobKind {
 public:
  struct Parts {
    registry::RegistryClient& registry;
    jobs::RunnerStore& runners;
    const Clock& clock;
    int64_t usual_memory_mib = 0;  // of a runner, while none has told its own; 0: not known
  };
  explicit PretrainKind(const Parts& parts) : parts_(parts) {}

  std::string name() const override;

  // trainer/spec/pretrain_spec.h; dataset and tokenizer must be the team's, and are pinned to their
  // revisions: teams/<team>/datasets/<id>@sha256:<digest>. The blueprint is checked with the
  // tokenizer's vocabulary, and its memory with what the runners have. All that is wrong with these
  // is told at once.
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;

 private:
  // Of the largest runner; 0: not known.
  absl::StatusOr<int64_t> RunnerMemoryMib();

  const Parts parts_;
};

}  // namespace floe::services::trainer
