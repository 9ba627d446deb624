// floe bill training add | ls | usage
#include <iostream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/commands/model_reference.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

#include "base/status_macros.h"
#include "floe/billing/v1/report.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using Reports = pb::ReportService;

struct TrainingFlags {
  std::string team, model, version, amount, job, description;
  int days = 365;
};

absl::Status AddTraining(Session& session, const TrainingFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  pb::CreateTrainingCostRequest request;
  pb::TrainingCost& cost = *request.mutable_training_cost();
  FLOE_ASSIGN_OR_RETURN(*cost.mutable_amount(), ParseDollars(flags.amount));
  FLOE_ASSIGN_OR_RETURN(const std::string team, door->Team());
  cost.set_team(flags.team.empty() ? LastId(team) : flags.team);
  const bool whole = absl::StrContains(flags.model, '/');
  cost.set_model(whole ? flags.model
                       : absl::StrCat("teams/", cost.team(), "/models/", flags.model));
  cost.set_model_version(flags.version);
  cost.set_job(flags.job);
  cost.set_amortization_days(flags.days);
  cost.set_description(flags.description);
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::TrainingCost made,
                        door->Ask(*stub, &Reports::Stub::CreateTrainingCost, request));
  if (session.json) {
    session.PrintJson(MessageJson(made));
  } else {
    session.out() << made.name() << "  " << Dollars(made.amount()) << "\n";
  }
  return absl::OkStatus();
}

absl::Status ListTraining(Session& session, const TrainingFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  pb::QueryTrainingCostRequest request;
  request.set_team(flags.team);
  FLOE_ASSIGN_OR_RETURN(const pb::QueryTrainingCostResponse answer,
                        door->Ask(*stub, &Reports::Stub::QueryTrainingCost, request));
  if (session.json) {
    session.PrintJson(MessageJson(answer));
    return absl::OkStatus();
  }
  Table table({"MODEL", ">TRAINING", ">WRITTEN OFF", ">REVENUE", ">RUNNING COST", ">CONTRIBUTION",
               "BREAK-EVEN"});
  for (const auto& row : answer.rows()) {
    std::string when = row.break_even_reached() ? "reached" : "never at this pace";
    if (row.has_break_even_time()) {
      when = absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(row.break_even_time().seconds()),
                              absl::UTCTimeZone());
    }
    table.Add({absl::StrCat(row.model(), "@", row.model_version()), Dollars(row.training_cost()),
               Dollars(row.amortized()), Dollars(row.revenue()), Dollars(row.running_cost()),
               Dollars(row.contribution()), when});
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

struct UsageFlags {
  IntervalFlags interval;
  std::string team;
  bool jobs = false;
};

// What was recorded as the cost of versions, by their resource name.
using Costs = std::map<std::string, pb::Money>;

absl::StatusOr<Costs> CostsOf(Door& door, const std::string& team) {
  const auto stub = Reports::NewStub(door.channel());
  pb::QueryTrainingCostRequest request;
  request.set_team(team);
  FLOE_ASSIGN_OR_RETURN(const pb::QueryTrainingCostResponse answer,
                        door.Ask(*stub, &Reports::Stub::QueryTrainingCost, request));
  Costs costs;
  for (const auto& row : answer.rows()) {
    costs[absl::StrCat(row.model(), "/versions/", row.model_version())] = row.training_cost();
  }
  return costs;
}

nlohmann::ordered_json UsageJson(const pb::QueryJobUsageResponse& answer, const Costs& costs) {
  auto json = MessageJson(answer);
  for (auto& row : json["rows"]) {
    const auto cost = costs.find(row["made"].get<std::string>());
    row["training_cost"] = cost == costs.end() ? nlohmann::ordered_json()  // null: none recorded
                                               : MessageJson(cost->second);
  }
  return json;
}

std::string MadeCell(const std::string& made) {
  if (made.empty()) return "-";
  if (absl::StrContains(made, "/versions/")) return ShortVersion(made);
  return LastId(made.substr(0, made.find("@sha256:")));
}

std::string UsageTable(const pb::QueryJobUsageResponse& answer, const Costs& costs, bool jobs) {
  Table table({"TEAM", "KIND", "MADE", jobs ? "JOB" : ">JOBS", ">ATTEMPTS", ">TOKENS", ">WORK",
               ">CORE TIME", ">OF IT IN VAIN", ">COST"});
  const auto add = [&](std::vector<std::string> first, const pb::JobQuantities& used,
                       std::string in_vain, std::string cost) {
    for (std::string& cell : UsedCells(used)) first.push_back(std::move(cell));
    first.push_back(std::move(in_vain));
    first.push_back(std::move(cost));
    table.Add(std::move(first));
  };
  int64_t all_jobs = 0;
  absl::Duration all_in_vain;
  for (const auto& row : answer.rows()) {
    const absl::Duration in_vain = DurationOf(row.unsuccessful().core_time());
    const auto cost = costs.find(row.made());
    add({row.team(), row.kind(), MadeCell(row.made()),
         jobs ? LastId(row.job()) : HumanCount(row.jobs())},
        row.used(), HumanDuration(in_vain), cost == costs.end() ? "-" : Dollars(cost->second));
    all_jobs += row.jobs();
    all_in_vain += in_vain;
  }
  if (table.empty()) return "No attempt of a job ended in this time.\n";
  add({"total", "", "", HumanCount(all_jobs)}, answer.total(), HumanDuration(all_in_vain), "");
  return table.Render();
}

absl::Status Usage(Session& session, const UsageFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const pb::Interval interval, IntervalOf(flags.interval));
  pb::QueryJobUsageRequest request;
  request.set_team(flags.team);
  request.set_each_job(flags.jobs);
  if (interval.has_start()) *request.mutable_start() = interval.start();
  if (interval.has_end()) *request.mutable_end() = interval.end();
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::QueryJobUsageResponse answer,
                        door->Ask(*stub, &Reports::Stub::QueryJobUsage, request));
  FLOE_ASSIGN_OR_RETURN(const Costs costs, CostsOf(*door, flags.team));
  if (session.json) {
    session.PrintJson(UsageJson(answer, costs));
  } else {
    session.out() << UsageTable(answer, costs, flags.jobs);
  }
  return absl::OkStatus();
}

}  // namespace

void AddTrainingCommands(CommandLine& line, CLI::App& bill) {
  CLI::App* training =
      AddGroup(bill, "training", "What it cost to make versions, beside what they earn");
  auto& add = line.Keep<TrainingFlags>();
  CLI::App* command = AddCommand(*training, "add", "Record a cost",
                                 "  floe bill training add hamlet 7 1200.50 --days 180");
  command->add_option("model", add.model, "The model")->required();
  command->add_option("version", add.version, "The version")->required();
  command->add_option("dollars", add.amount, "How much")->required();
  command->add_option("--days", add.days, "Written off over so many days [365]");
  command->add_option("--job", add.job, "The job");
  command->add_option("--team", add.team, "Another team than the key's");
  command->add_option("--description", add.description, "For people");
  line.OnRun(command, [&add](Session& session) { return AddTraining(session, add); });
  auto& list = line.Keep<TrainingFlags>();
  command =
      AddCommand(*training, "ls", "A version a row, with break-even", "  floe bill training ls");
  command->add_option("--team", list.team, "One team only");
  line.OnRun(command, [&list](Session& session) { return ListTraining(session, list); });

  auto& usage = line.Keep<UsageFlags>();
  command = AddCommand(
      *training, "usage", "What jobs of any kind used: tokens, operations, core time, attempts",
      "  floe bill training usage\n  floe bill training usage --jobs --month 2026-11\n"
      "  floe bill training usage --json | jq '.rows[] | {made, used}'\n\n"
      "Every attempt counts once, when it has ended, however it ended; IN VAIN is the core time "
      "of\n"
      "those that did not succeed. COST is what `floe bill training add` recorded of the version.");
  command->add_flag("--jobs", usage.jobs, "A row a job");
  command->add_option("--team", usage.team, "One team only");
  AddIntervalOptions(*command, usage.interval, "since the first job");
  line.OnRun(command, [&usage](Session& session) { return Usage(session, usage); });
}

}  // namespace floe::cli
