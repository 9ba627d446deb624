// Steps of workflows in the table gateway.workflow_steps.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

#include "base/postgres/pool.h"

namespace floe::gateway {

// Counts one step, in one statement: however many gateways count at once, no step too many passes.
// RESOURCE_EXHAUSTED (WORKFLOW_STEPS_EXCEEDED) when it would be more than `max_steps`; it is not
// counted then. The pool's schema is up to date (schema.h).
absl::Status CountWorkflowStep(postgres::Pool& pool, std::string_view team,
                               std::string_view workflow, int64_t max_steps);

// Removes workflows that nobody touched for a month.
absl::Status ForgetOldWorkflows(postgres::Pool& pool);

}  // namespace floe::gateway
