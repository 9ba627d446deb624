// Executes jobs of kind `inspect`: what is to be seen in a version's weights, beside fresh weights
// or another version, kept in the registry as evidence of the task `inspect`.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"

namespace floe::runner {

// Thread-safe; takes all of `threads`. Borrows the registry.
//
// In the job's folder: `model/`, `against/`, `dataset`, verified by digest. The result is the
// evaluation's resource name; its report is InspectionJson (trainer/inspection/report.h).
class InspectExecutor final : public Executor {
 public:
  InspectExecutor(registry::RegistryClient& registry, int threads)
      : registry_(registry), threads_(threads) {}

  std::string kind() const override;
  absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                      std::stop_token stop) override;

 private:
  registry::RegistryClient& registry_;
  const int threads_;
};

}  // namespace floe::runner
