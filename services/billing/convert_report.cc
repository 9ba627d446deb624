#include "services/billing/convert_report.h"

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "billing/budget.h"
#include "services/billing/convert.h"
#include "services/usage/attempt_proto.h"

namespace floe::services::billing {
namespace {

v1::WorkflowTree::Step StepToProto(const domain::WorkflowStep& step, absl::Time start) {
  v1::WorkflowTree::Step out;
  out.set_usage_id(step.usage_id);
  out.set_parent_id(step.parent_id);
  out.set_depth(step.depth);
  out.set_step(step.step);
  out.set_operation(std::string(Name(step.usage.operation)));
  out.set_model(step.usage.model);
  out.set_service_tier(std::string(Name(step.usage.tier)));
  *out.mutable_net() = ToProto(step.net);
  *out.mutable_subtree_net() = ToProto(step.subtree_net);
  *out.mutable_start_offset() = ToProto(step.time - start);
  *out.mutable_total_time() = ToProto(step.total_time);
  *out.mutable_time_to_first_token() = ToProto(step.time_to_first_token);
  *out.mutable_quantities() = ToProto(step.usage.quantities);
  out.set_cache_hit(step.cache_hit);
  return out;
}

// How the cache, the tier and the lines made the sum.
void AddArithmetic(const domain::RatedEvent& rated, domain::Money net,
                   v1::ExplainUsageResponse& out) {
  const auto add = [&](const std::string& line) { out.add_arithmetic(line); };
  add(absl::StrCat("price book ", rated.event.price_book, ", tier ",
                   std::string(Name(rated.event.usage.tier)),
                   rated.event.cache_hit ? ", answered from the cache" : ""));
  for (const domain::ChargeLine& line : rated.charge.lines) add(Arithmetic(line));
  if (rated.charge.lines.empty()) add("nothing was used");
  add(absl::StrCat("charge $", rated.charge.total.ToDollars()));
  if (rated.credit.is_zero()) return;
  add(absl::StrCat("tier ", std::string(Name(rated.event.served_tier)), " was kept: credit $",
                   rated.credit.ToDollars(), ", net $", net.ToDollars()));
}

v1::Invoice::Line LineToProto(const domain::InvoiceLine& line) {
  v1::Invoice::Line out;
  out.set_model(line.model);
  out.set_operation(line.operation);
  out.set_service_tier(line.tier);
  out.set_kind(line.kind);
  out.set_quantity(line.quantity);
  *out.mutable_unit_price() = ToProto(line.unit_price);
  *out.mutable_exact_amount() = ToProto(line.exact_amount);
  *out.mutable_amount() = ToProto(line.amount);
  out.set_correction_of(line.correction_of);
  return out;
}

v1::PlanResponse::WorkloadPlan WorkloadToProto(const domain::WorkloadPlan& plan) {
  v1::PlanResponse::WorkloadPlan out;
  out.set_name(plan.name);
  *out.mutable_per_request() = ToProto(plan.per_request);
  *out.mutable_per_day() = ToProto(plan.per_day);
  *out.mutable_latency() = ToProto(plan.latency);
  for (const domain::CostDriver& driver : plan.drivers) {
    auto& to = *out.add_drivers();
    to.set_name(driver.name);
    *to.mutable_amount() = ToProto(driver.amount);
    to.set_percent(driver.percent);
  }
  for (const domain::PlannedStep& step : plan.steps) {
    auto& to = *out.add_steps();
    to.set_number(step.number);
    to.set_input_tokens(step.input_tokens);
    to.set_output_tokens(step.output_tokens);
    *to.mutable_cost() = ToProto(step.cost);
    *to.mutable_latency() = ToProto(step.latency);
    *to.mutable_elapsed() = ToProto(step.elapsed);
  }
  return out;
}

}  // namespace

domain::Interval FromProto(const v1::Interval& interval, absl::Time now) {
  return {interval.has_start() ? FromProto(interval.start())
                               : domain::BoundsOf(domain::Period::kMonth, now).start,
          interval.has_end() ? FromProto(interval.end()) : now + absl::Microseconds(1)};
}

v1::ReportRow ToProto(const domain::ReportRow& row) {
  v1::ReportRow out;
  out.mutable_group()->Add(row.group.begin(), row.group.end());
  out.set_requests(row.requests);
  out.set_cache_hits(row.cache_hits);
  out.set_input_tokens(row.input_tokens);
  out.set_cached_input_tokens(row.cached_input_tokens);
  out.set_output_tokens(row.output_tokens);
  out.set_calls(row.calls);
  *out.mutable_charge() = ToProto(row.charge);
  *out.mutable_credit() = ToProto(row.credit);
  *out.mutable_net() = ToProto(row.net);
  return out;
}

absl::StatusOr<v1::ExplainUsageResponse> ToProto(const domain::ExplainedUsage& explained) {
  const domain::RatedEvent& rated = explained.rated;
  FLOE_ASSIGN_OR_RETURN(const domain::Money net, Subtract(rated.charge.total, rated.credit));
  v1::ExplainUsageResponse out;
  *out.mutable_event() = ToProto(rated.event);
  for (const auto& line : rated.charge.lines) *out.add_lines() = ToProto(line);
  *out.mutable_charge() = ToProto(rated.charge.total);
  *out.mutable_credit() = ToProto(rated.credit);
  *out.mutable_net() = ToProto(net);
  out.set_parked_reason(rated.parked_reason);
  if (rated.parked_reason.empty()) AddArithmetic(rated, net, out);
  for (const domain::LedgerEntry& entry : explained.entries) {
    auto& to = *out.add_entries();
    to.set_transaction_id(entry.transaction_id);
    to.set_kind(entry.kind);
    to.set_account(entry.account);
    *to.mutable_amount() = ToProto(entry.amount);
  }
  for (const domain::Attempt& attempt : explained.attempts) {
    *out.add_attempts() = usage::ToProto(attempt);
  }
  *out.mutable_receive_time() = ToProto(explained.receive_time);
  return out;
}

v1::WorkflowTree ToProto(const domain::WorkflowTree& tree, const std::string& name) {
  v1::WorkflowTree out;
  out.set_name(name);
  for (const auto& step : tree.steps) *out.add_steps() = StepToProto(step, tree.start);
  *out.mutable_net() = ToProto(tree.net);
  *out.mutable_elapsed() = ToProto(tree.elapsed);
  *out.mutable_busy() = ToProto(tree.busy);
  return out;
}

v1::JobQuantities ToProto(const domain::JobQuantities& used) {
  v1::JobQuantities out;
  out.set_attempts(used.attempts);
  out.set_tokens(used.tokens);
  out.set_gigaflop(used.gigaflop);
  *out.mutable_core_time() = ToProto(used.core_time);
  return out;
}

v1::QueryJobUsageResponse::Row ToProto(const domain::JobUsageRow& row) {
  v1::QueryJobUsageResponse::Row out;
  out.set_team(row.team);
  out.set_kind(row.kind);
  out.set_made(row.made);
  out.set_jobs(row.jobs);
  *out.mutable_used() = ToProto(row.used);
  *out.mutable_unsuccessful() = ToProto(row.unsuccessful);
  out.set_job(row.job);
  return out;
}

v1::VerifyUsageResponse ToProto(const domain::VerifyReport& report) {
  v1::VerifyUsageResponse out;
  out.set_clean(report.clean());
  out.set_requests(report.requests);
  out.set_computed_tokens(report.computed_tokens);
  out.set_sent_tokens(report.sent_tokens);
  out.set_arrived_tokens(report.arrived_tokens);
  out.set_charged_tokens(report.charged_tokens);
  out.set_undelivered_tokens(report.undelivered_tokens);
  out.set_retried_tokens(report.retried_tokens);
  out.set_cached_tokens(report.cached_tokens);
  out.set_unexplained(report.unexplained);
  for (const auto& [counts, what] : report.differences) {
    auto& to = *out.add_differences();
    to.set_usage_id(counts.usage_id);
    to.set_what(what);
    to.set_attempts(counts.attempts);
    to.set_computed_tokens(counts.computed_tokens);
    to.set_sent_tokens(counts.sent_tokens);
    to.set_arrived_tokens(counts.arrived_tokens);
    to.set_charged_tokens(counts.output_tokens);
  }
  out.set_on_the_way(report.on_the_way);
  *out.mutable_jobs_counted() = ToProto(report.jobs_counted);
  *out.mutable_jobs_billed() = ToProto(report.jobs_billed);
  out.mutable_ledger_faults()->Add(report.ledger_faults.begin(), report.ledger_faults.end());
  out.set_receipts(report.receipts);
  out.mutable_receipt_faults()->Add(report.receipt_faults.begin(), report.receipt_faults.end());
  return out;
}

absl::StatusOr<InvoiceName> ParseInvoiceName(const std::string& name) {
  FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(name, {"teams", "invoices"}));
  FLOE_ASSIGN_OR_RETURN(const absl::CivilMonth month, domain::ParseMonth(ids[1]));
  return InvoiceName{ids[0], month};
}

v1::Invoice ToProto(const domain::Invoice& invoice) {
  v1::Invoice out;
  out.set_name(invoice.Name());
  out.set_state(invoice.issue_time ? v1::Invoice::ISSUED : v1::Invoice::DRAFT);
  const domain::Interval interval = domain::IntervalOf(invoice.month);
  *out.mutable_period_start() = ToProto(interval.start);
  *out.mutable_period_end() = ToProto(interval.end);
  for (const auto& line : invoice.lines) *out.add_lines() = LineToProto(line);
  *out.mutable_exact_total() = ToProto(invoice.exact_total);
  *out.mutable_total() = ToProto(invoice.total);
  *out.mutable_rounding() = ToProto(invoice.rounding);
  if (invoice.issue_time) *out.mutable_issue_time() = ToProto(*invoice.issue_time);
  return out;
}

absl::StatusOr<std::vector<domain::Workload>> FromProto(const v1::PlanRequest& request) {
  constexpr int kMaxWorkloads = 100;
  if (request.workloads_size() > kMaxWorkloads) {
    return absl::InvalidArgumentError(absl::StrCat("at most ", kMaxWorkloads, " workloads"));
  }
  std::vector<domain::Workload> workloads;
  for (const auto& from : request.workloads()) {
    domain::Workload to{.name = from.name(),
                        .model = from.model(),
                        .requests_per_day = from.requests_per_day(),
                        .input_tokens = from.input_tokens(),
                        .cached_percent = from.cached_percent(),
                        .output_tokens = from.output_tokens(),
                        .retrieval_passages = from.retrieval_passages(),
                        .passage_tokens = from.passage_tokens(),
                        .agent_steps = from.agent_steps(),
                        .tool_calls_per_step = from.tool_calls_per_step(),
                        .tool_result_tokens = from.tool_result_tokens(),
                        .time_to_first_token = FromProto(from.time_to_first_token()),
                        .time_per_output_token = FromProto(from.time_per_output_token()),
                        .retrieval_time = FromProto(from.retrieval_time()),
                        .tool_time = FromProto(from.tool_time())};
    FLOE_ASSIGN_OR_RETURN(to.tier, domain::ParseTier(from.service_tier()));
    workloads.push_back(std::move(to));
  }
  return workloads;
}

v1::PlanResponse ToProto(const domain::Plan& plan) {
  v1::PlanResponse out;
  for (const auto& workload : plan.workloads) *out.add_workloads() = WorkloadToProto(workload);
  *out.mutable_per_day() = ToProto(plan.per_day);
  *out.mutable_per_month() = ToProto(plan.per_month);
  return out;
}

absl::StatusOr<domain::TrainingCost> FromProto(const v1::TrainingCost& cost) {
  domain::TrainingCost out{.team = cost.team(),
                           .model = cost.model(),
                           .model_version = cost.model_version(),
                           .job = cost.job(),
                           .start_time = FromProto(cost.start_time()),
                           .days = cost.amortization_days(),
                           .description = cost.description()};
  FLOE_ASSIGN_OR_RETURN(out.amount, FromProto(cost.amount(), "training_cost.amount"));
  return out;
}

v1::TrainingCost ToProto(const domain::TrainingCost& cost) {
  v1::TrainingCost out;
  out.set_name(absl::StrCat("trainingCosts/", cost.id));
  out.set_team(cost.team);
  out.set_model(cost.model);
  out.set_model_version(cost.model_version);
  out.set_job(cost.job);
  *out.mutable_amount() = ToProto(cost.amount);
  *out.mutable_start_time() = ToProto(cost.start_time);
  out.set_amortization_days(cost.days);
  out.set_description(cost.description);
  return out;
}

v1::QueryTrainingCostResponse::Row ToProto(const domain::TrainingCostRow& row) {
  v1::QueryTrainingCostResponse::Row out;
  out.set_team(row.team);
  out.set_model(row.model);
  out.set_model_version(row.model_version);
  *out.mutable_training_cost() = ToProto(row.training_cost);
  *out.mutable_amortized() = ToProto(row.amortized);
  *out.mutable_revenue() = ToProto(row.revenue);
  *out.mutable_running_cost() = ToProto(row.running_cost);
  *out.mutable_contribution() = ToProto(row.contribution);
  *out.mutable_remaining() = ToProto(row.remaining);
  if (row.break_even_time) *out.mutable_break_even_time() = ToProto(*row.break_even_time);
  out.set_break_even_reached(row.break_even_reached);
  *out.mutable_used() = ToProto(row.used);
  return out;
}

}  // namespace floe::services::billing
