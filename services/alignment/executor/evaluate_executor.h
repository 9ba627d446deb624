// Executes jobs of kind `evaluate`: every model on every dataset, scored by the workers, the
// evidence kept in the registry.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

#include "services/alignment/executor/worker_scorer.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"

namespace floe::runner {

// Thread-safe. Borrows the registry and the workers.
//
// In the job's folder: the datasets by their digests. The result is the last evaluation's resource
// name; a line for each says its numbers. Repeating an attempt finds the evidence that is there.
class EvaluateExecutor final : public Executor {
 public:
  EvaluateExecutor(registry::RegistryClient& registry, Workers& workers)
      : registry_(registry), workers_(workers) {}

  std::string kind() const override;
  absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                      std::stop_token stop) override;

 private:
  registry::RegistryClient& registry_;
  Workers& workers_;
};

}  // namespace floe::runner
