// floe bill quote | plan
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

#include "base/status_macros.h"
#include "floe/billing/v1/quote.grpc.pb.h"
#include "floe/billing/v1/report.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;

absl::Status Quote(Session& session, const pb::QuoteRequest& request) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = pb::QuoteService::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::QuoteResponse quote,
                        door->Ask(*stub, &pb::QuoteService::Stub::Quote, request));
  if (session.json) {
    session.PrintJson(MessageJson(quote));
    return absl::OkStatus();
  }
  Table table({"KIND", ">QUANTITY", ">PRICE OF ONE", ">AMOUNT"});
  for (const pb::ChargeLine& line : quote.lines()) {
    table.Add({line.kind(), HumanCount(line.quantity()), Dollars(line.unit_price()),
               Dollars(line.amount())});
  }
  session.out() << table.Render() << "\nat most " << Dollars(quote.amount()) << " by "
                << quote.price_book() << "\n";
  return absl::OkStatus();
}

struct PlanFlags {
  std::string model, tier = "default";
  int64_t requests = 1000, input = 500, output = 200, passages = 0, passage_tokens = 200;
  int64_t steps = 1, tool_calls = 0, tool_tokens = 200;
  int cached_percent = 0;
  double first_token = 0.2, per_token = 0.02, retrieval = 0.05, tool = 0.5;  // seconds
};

pb::PlanRequest PlanRequest(const PlanFlags& flags) {
  pb::PlanRequest request;
  auto& workload = *request.add_workloads();
  workload.set_name(flags.model);
  workload.set_model(flags.model);
  workload.set_service_tier(flags.tier);
  workload.set_requests_per_day(flags.requests);
  workload.set_input_tokens(flags.input);
  workload.set_cached_percent(flags.cached_percent);
  workload.set_output_tokens(flags.output);
  workload.set_retrieval_passages(flags.passages);
  workload.set_passage_tokens(flags.passage_tokens);
  workload.set_agent_steps(flags.steps);
  workload.set_tool_calls_per_step(flags.tool_calls);
  workload.set_tool_result_tokens(flags.tool_tokens);
  *workload.mutable_time_to_first_token() = DurationOf(absl::Seconds(flags.first_token));
  *workload.mutable_time_per_output_token() = DurationOf(absl::Seconds(flags.per_token));
  *workload.mutable_retrieval_time() = DurationOf(absl::Seconds(flags.retrieval));
  *workload.mutable_tool_time() = DurationOf(absl::Seconds(flags.tool));
  return request;
}

// Seconds that can be seen to add up.
std::string Seconds(const google::protobuf::Duration& duration) {
  return absl::StrFormat("%.2f s", absl::ToDoubleSeconds(DurationOf(duration)));
}

absl::Status Plan(Session& session, const PlanFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = pb::ReportService::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::PlanResponse plan,
                        door->Ask(*stub, &pb::ReportService::Stub::Plan, PlanRequest(flags)));
  if (session.json) {
    session.PrintJson(MessageJson(plan));
    return absl::OkStatus();
  }
  for (const auto& workload : plan.workloads()) {
    Table drivers({"WHAT DRIVES THE COST", ">A REQUEST", ">SHARE"});
    for (const auto& driver : workload.drivers()) {
      drivers.Add(
          {driver.name(), Dollars(driver.amount()), absl::StrFormat("%.1f%%", driver.percent())});
    }
    Table steps({">STEP", ">READS", ">WRITES", ">COST", ">TAKES", ">DONE AT"});
    for (const auto& step : workload.steps()) {
      steps.Add({absl::StrCat(step.number()), HumanCount(step.input_tokens()),
                 HumanCount(step.output_tokens()), Dollars(step.cost()), Seconds(step.latency()),
                 Seconds(step.elapsed())});
    }
    session.out() << drivers.Render() << "\n" << steps.Render() << "\n";
    session.out() << "a request: " << Dollars(workload.per_request()) << ", "
                  << Seconds(workload.latency()) << "\n";
  }
  session.out() << "a day:     " << Dollars(plan.per_day())
                << "\n30 days:   " << Dollars(plan.per_month()) << "  by " << plan.price_book()
                << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddPlanningCommands(CommandLine& line, CLI::App& bill) {
  auto& quote = line.Keep<pb::QuoteRequest>();
  CLI::App* command = AddCommand(
      bill, "quote", "What a request can cost at most",
      "  floe bill quote hamlet --input-tokens 1200 --max-output-tokens 300 --tier priority");
  const auto text = [](std::string* field) {
    return [field](const std::string& value) { *field = value; };
  };
  quote.set_operation("chat");
  command->add_option_function<std::string>("model", text(quote.mutable_model()), "The model")
      ->required();
  command->add_option_function<std::string>("--tier", text(quote.mutable_service_tier()),
                                            "flex, default or priority");
  command->add_option_function<std::string>("--operation", text(quote.mutable_operation()),
                                            "chat, completion, embedding, retrieval or tool");
  command->add_option_function<int64_t>(
      "--input-tokens", [&quote](int64_t n) { quote.set_input_tokens(n); }, "Of the prompt");
  command->add_option_function<int64_t>(
      "--max-output-tokens", [&quote](int64_t n) { quote.set_max_output_tokens(n); },
      "Of the answer, at most");
  line.OnRun(command, [&quote](Session& session) { return Quote(session, quote); });

  auto& plan = line.Keep<PlanFlags>();
  command =
      AddCommand(bill, "plan", "What traffic would cost, what drives it, and how latency adds up",
                 "  floe bill plan hamlet --requests 100000 --input 800 --output 300\n"
                 "  floe bill plan hamlet --steps 4 --tool-calls 1 --passages 5 --tier priority");
  command->add_option("model", plan.model, "The model")->required();
  command->add_option("--tier", plan.tier, "flex, default or priority");
  command->add_option("--requests", plan.requests, "A day [1000]");
  command->add_option("--input", plan.input, "Prompt tokens [500]");
  command->add_option("--cached-percent", plan.cached_percent, "Of them, priced as cached [0]");
  command->add_option("--output", plan.output, "Output tokens a step [200]");
  command->add_option("--passages", plan.passages, "Retrieved into the prompt [0]");
  command->add_option("--passage-tokens", plan.passage_tokens, "Each [200]");
  command->add_option("--steps", plan.steps, "Model calls a request [1]");
  command->add_option("--tool-calls", plan.tool_calls, "Between two steps [0]");
  command->add_option("--tool-tokens", plan.tool_tokens, "That each adds to the prompt [200]");
  command->add_option("--first-token", plan.first_token, "Seconds to the first token [0.2]");
  command->add_option("--per-token", plan.per_token, "Seconds an output token [0.02]");
  command->add_option("--retrieval-time", plan.retrieval, "Seconds of a retrieval [0.05]");
  command->add_option("--tool-time", plan.tool, "Seconds of a tool call [0.5]");
  line.OnRun(command, [&plan](Session& session) { return Plan(session, plan); });
}

}  // namespace floe::cli
