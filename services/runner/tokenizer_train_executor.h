// Executes jobs of kind `tokenizer.train`: a dataset of the registry in, a tokenizer of the
// registry out.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"

namespace floe::runner {

// Thread-safe. Borrows the registry and the clock. Training has no checkpoint: an attempt begins
// anew, with the dataset that an earlier one may have left in the folder, and the same dataset and
// specification give the same tokenizer.
class TokenizerTrainExecutor final : public Executor {
 public:
  TokenizerTrainExecutor(registry::RegistryClient& registry, const Clock& clock, int threads)
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
