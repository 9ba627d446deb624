// reserve: room for the worst case in every budget that binds the request, before anything runs.
#pragma once

#include "base/clock.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. Leaving frees what was not settled, and settles what a worker had
// begun and nobody has settled: nothing stays reserved by a request that is gone.
class ReserveStage final : public Stage {
 public:
  struct Parts {
    Budgets& budgets;
    WorkflowSteps& steps;
    UsageLog& usage;
    const Clock& clock;
  };
  explicit ReserveStage(const Parts& parts) : parts_(parts) {}

  std::string_view name() const override { return "reserve"; }
  // RESOURCE_EXHAUSTED (BUDGET_EXCEEDED, 402: repeating does not help), UNAVAILABLE
  // (BUDGET_UNAVAILABLE), RESOURCE_EXHAUSTED (WORKFLOW_STEPS_EXCEEDED).
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override;

 private:
  const Parts parts_;
};

}  // namespace floe::gateway
