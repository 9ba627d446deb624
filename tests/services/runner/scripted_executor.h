// An executor whose work the test writes.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "services/runner/executor.h"
#include "tests/services/jobs/job_service.h"

namespace floe::runner {

class ScriptedExecutor final : public Executor {
 public:
  using Work =
      std::function<absl::StatusOr<std::string>(const Assignment&, Reporter&, std::stop_token)>;
  explicit ScriptedExecutor(Work work) : work_(std::move(work)) {}

  std::string kind() const override { return jobs::kTestKind; }
  absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                      std::stop_token stop) override {
    return work_(job, reporter, stop);
  }

 private:
  const Work work_;
};

}  // namespace floe::runner
