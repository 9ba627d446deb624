// Executes jobs of kind `sft` and `dpo`: a model version and a dataset of the registry in, a
// version that descends from it out.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"
#include "trainer/alignment/spec/align_spec.h"

namespace floe::runner {

// Thread-safe; training itself takes all of `threads`. Borrows the registry and the clock.
//
// In the job's folder: `base/`, `dataset`, `held_out` (verified by digest, kept between attempts),
// `reference.json` (DPO), `states/` (where the next attempt goes on, bit for bit) and
// `checkpoint/`. The result is the version's resource name; its lineage names the base, and its
// metrics are those of the end of training and, with held-out data, held_out_loss and held_out_….
class AlignExecutor final : public Executor {
 public:
  AlignExecutor(trainer::AlignKind kind, registry::RegistryClient& registry, const Clock& clock,
                int threads)
      : kind_(kind), registry_(registry), clock_(clock), threads_(threads) {}

  std::string kind() const override;
  absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                      std::stop_token stop) override;

 private:
  const trainer::AlignKind kind_;
  registry::RegistryClient& registry_;
  const Clock& clock_;
  const int threads_;
};

}  // namespace floe::runner
