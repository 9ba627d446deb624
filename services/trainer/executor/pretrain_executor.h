// Executes jobs of kind `pretrain`: a dataset and a tokenizer of the registry in, a model version
// out.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"

namespace floe::runner {

// Thread-safe; training itself takes all of `threads`. Borrows the registry and the clock.
//
// In the job's folder: `corpus` and `tokenizer.json` (verified by digest, kept between attempts),
// `tokens/`, `states/` (where the next attempt goes on, bit for bit) and `checkpoint/`. The result
// is the version's resource name, its metrics held_out_loss, loss, tokens, steps and
// training_seconds. With train.processes above 1 the others run beside this one (floe-pretrain,
// what they said is `rank-<n>.log`); when one is lost all end, and the attempt fails with the
// reason and is tried again.
class PretrainExecutor final : public Executor {
 public:
  PretrainExecutor(registry::RegistryClient& registry, const Clock& clock, int threads)
      : registry_(registry), clock_(clock), threads_(threads) {}

  std::string kind() const override;
  absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                      std::stop_token stop) override;

 private:
  registry::RegistryClient& registry_;
  const Clock& clock_;
  const int threads_;
};

}  // namespace floe::runner
