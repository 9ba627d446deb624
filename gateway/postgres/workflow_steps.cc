#include "gateway/postgres/workflow_steps.h"

#include <string>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::gateway {
namespace {

constexpr char kCount[] =
    "INSERT INTO gateway.workflow_steps (team, workflow_id, steps, update_time)"
    " VALUES ($1, $2, 1, now())"
    " ON CONFLICT (team, workflow_id) DO UPDATE"
    " SET steps = workflow_steps.steps + 1, update_time = now() WHERE workflow_steps.steps < $3"
    " RETURNING steps";
constexpr char kForget[] =
    "DELETE FROM gateway.workflow_steps WHERE update_time < now() - interval '30 days'";

}  // namespace

absl::Status CountWorkflowStep(postgres::Pool& pool, std::string_view team,
                               std::string_view workflow, int64_t max_steps) {
  return pool.Run([&](pqxx::transaction_base& sql) -> absl::Status {
    const pqxx::result rows =
        sql.exec_params(kCount, std::string(team), std::string(workflow), max_steps);
    if (!rows.empty()) return absl::OkStatus();
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "workflow ", AbslView(workflow), " has taken its ", max_steps,
            " steps; begin another one, or let the policy allow more (workflow: max_steps)")),
        "WORKFLOW_STEPS_EXCEEDED", {{"http_status", "403"}, {"param", "floe.workflow_id"}});
  });
}

absl::Status ForgetOldWorkflows(postgres::Pool& pool) {
  return pool.Run([](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec_params0(kForget);
    return absl::OkStatus();
  });
}

}  // namespace floe::gateway
