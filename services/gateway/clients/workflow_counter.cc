#include "services/gateway/clients/workflow_counter.h"

#include "gateway/postgres/workflow_steps.h"
#include "services/gateway/clients/handoff.h"

namespace floe::gateway {

boost::asio::awaitable<absl::Status> WorkflowCounter::Count(const std::string& team,
                                                            const std::string& workflow,
                                                            int64_t max_steps) {
  auto count = [this, team, workflow, max_steps] {
    return CountWorkflowStep(database_, team, workflow, max_steps);
  };
  co_return co_await RunOn(blocking_, std::move(count));
}

}  // namespace floe::gateway
