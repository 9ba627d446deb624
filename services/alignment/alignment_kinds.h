// Jobs of kind `sft` and `dpo`: how this service checks them before they are queued. No torch here.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "model/blueprint.h"
#include "services/alignment/references.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/runner_memory.h"
#include "services/registry/client/registry_client.h"
#include "trainer/alignment/spec/align_spec.h"

namespace floe::services::alignment {

// Thread-safe. Borrows its parts.
class AlignmentKind final : public jobs::JobKind {
 public:
  AlignmentKind(trainer::AlignKind kind, registry::RegistryClient& registry,
                const jobs::RunnerMemory& memory)
      : kind_(kind), registry_(registry), memory_(memory) {}

  std::string name() const override;

  // trainer/alignment/spec/align_spec.h; base and datasets must be the team's, and are pinned to
  // digests. FAILED_PRECONDITION when a dataset has another format than the kind learns from;
  // INVALID_ARGUMENT when training and held-out data are the same bytes, or texts may be longer
  // than the base's context or need more memory than the runners have. All that is wrong with these
  // is told at once.
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;

 private:
  // Bytes, for the longest texts that the specification admits; INVALID_ARGUMENT when no runner has
  // so many.
  absl::StatusOr<int64_t> NeededMemory(const model::Blueprint& base,
                                       const trainer::AlignSpec& spec) const;
  // Of the format that the kind learns from.
  absl::StatusOr<registry::v1::Dataset> DatasetFor(const std::string& key,
                                                   const std::string& reference,
                                                   References& references) const;

  const trainer::AlignKind kind_;
  registry::RegistryClient& registry_;
  const jobs::RunnerMemory& memory_;
};

}  // namespace floe::services::alignment
