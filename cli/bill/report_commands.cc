// floe bill report | explain | tree | verify
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "floe/billing/v1/report.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using Reports = pb::ReportService;

template <typename Answer, typename Method, typename Request>
absl::StatusOr<Answer> Ask(Session& session, Method method, const Request& request) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  return door->Ask(*stub, method, request);
}

struct ReportFlags {
  IntervalFlags interval;
  std::string by = "team,model,tier,token_kind";
  std::vector<std::string> where;
  bool csv = false;
};

absl::StatusOr<pb::QueryReportRequest> ReportRequest(const ReportFlags& flags) {
  pb::QueryReportRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_interval(), IntervalOf(flags.interval));
  for (const auto& column : absl::StrSplit(flags.by, ',', absl::SkipWhitespace())) {
    request.add_group_by(std::string(column));
  }
  for (const std::string& condition : flags.where) {
    const std::pair<std::string, std::string> part =
        absl::StrSplit(condition, absl::MaxSplits('=', 1));
    (*request.mutable_filter())[part.first] = part.second;
  }
  request.set_csv(flags.csv);
  return request;
}

std::vector<std::string> Cells(const pb::ReportRow& row) {
  return {HumanCount(row.requests()),
          HumanCount(row.input_tokens()),
          HumanCount(row.cached_input_tokens()),
          HumanCount(row.output_tokens()),
          HumanCount(row.calls()),
          Dollars(row.charge()),
          Dollars(row.credit()),
          Dollars(row.net())};
}

absl::Status Report(Session& session, const ReportFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(pb::QueryReportRequest request, ReportRequest(flags));
  pb::QueryReportResponse all;
  do {
    FLOE_ASSIGN_OR_RETURN(
        pb::QueryReportResponse page,
        (Ask<pb::QueryReportResponse>(session, &Reports::Stub::QueryReport, request)));
    request.set_page_token(page.next_page_token());
    page.clear_next_page_token();
    if (all.rows_size() > 0) {
      page.clear_group_by();
      page.set_csv(page.csv().substr(page.csv().find('\n') + 1));
    }
    all.MergeFrom(page);
    if (flags.csv) session.out() << page.csv();
  } while (!request.page_token().empty());
  if (flags.csv) return absl::OkStatus();
  if (session.json) {
    session.PrintJson(MessageJson(all));
    return absl::OkStatus();
  }
  std::vector<std::string> headings;
  for (const std::string& column : request.group_by()) {
    headings.push_back(absl::AsciiStrToUpper(column));
  }
  for (const char* heading :
       {">REQUESTS", ">INPUT", ">CACHED", ">OUTPUT", ">CALLS", ">CHARGE", ">CREDIT", ">NET"}) {
    headings.emplace_back(heading);
  }
  Table table(headings);
  const auto add = [&](std::vector<std::string> cells, const pb::ReportRow& row) {
    for (std::string& cell : Cells(row)) cells.push_back(std::move(cell));
    table.Add(std::move(cells));
  };
  for (const pb::ReportRow& row : all.rows()) add({row.group().begin(), row.group().end()}, row);
  if (request.group_by_size() > 0) {
    std::vector<std::string> total(static_cast<size_t>(request.group_by_size()));
    total[0] = "total";
    add(std::move(total), all.total());
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

struct IdFlags {
  std::string id;
};

absl::Status Explain(Session& session, const IdFlags& flags) {
  pb::ExplainUsageRequest request;
  request.set_usage_id(flags.id);
  FLOE_ASSIGN_OR_RETURN(
      const pb::ExplainUsageResponse answer,
      (Ask<pb::ExplainUsageResponse>(session, &Reports::Stub::ExplainUsage, request)));
  if (session.json) {
    session.PrintJson(MessageJson(answer));
    return absl::OkStatus();
  }
  const pb::UsageEvent& event = answer.event();
  Fields fields;
  fields.Add("usage", event.usage_id());
  fields.Add("what",
             absl::StrCat(event.operation(), " ", event.model(), " ", event.model_version()));
  fields.Add("for", absl::StrCat("team ", event.team(), ", key ", event.key()));
  fields.Add("tier", absl::StrCat(event.service_tier(), ", served ", event.served_tier()));
  fields.Add("cache", event.cache_hit() ? "hit" : "-");
  fields.Add("net", Dollars(answer.net()));
  session.out() << fields.Render() << "\n";
  if (!answer.parked_reason().empty()) {
    session.out() << "not charged yet: " << answer.parked_reason() << "\n";
  }
  for (const std::string& line : answer.arithmetic()) session.out() << "  " << line << "\n";
  session.out() << "\n";
  Table entries({">TRANSACTION", "KIND", "ACCOUNT", ">AMOUNT"});
  for (const pb::LedgerEntry& entry : answer.entries()) {
    entries.Add({absl::StrCat(entry.transaction_id()), entry.kind(), entry.account(),
                 Dollars(entry.amount())});
  }
  Table attempts({"ATTEMPT", "WORKER", ">PROMPT", ">COMPUTED", ">SENT", "END"});
  for (const pb::Attempt& attempt : answer.attempts()) {
    attempts.Add({attempt.attempt_id(), attempt.worker(), HumanCount(attempt.prompt_tokens()),
                  HumanCount(attempt.computed_tokens()), HumanCount(attempt.sent_tokens()),
                  absl::AsciiStrToLower(pb::Attempt::Outcome_Name(attempt.outcome()))});
  }
  session.out() << entries.Render() << "\n" << attempts.Render();
  return absl::OkStatus();
}

absl::Status Tree(Session& session, const IdFlags& flags) {
  pb::GetWorkflowTreeRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("workflows", flags.id));
  FLOE_ASSIGN_OR_RETURN(const pb::WorkflowTree tree,
                        (Ask<pb::WorkflowTree>(session, &Reports::Stub::GetWorkflowTree, request)));
  if (session.json) {
    session.PrintJson(MessageJson(tree));
    return absl::OkStatus();
  }
  Table table({"STEP", "MODEL", "TIER", ">STARTS AT", ">TAKES", ">COST", ">WITH STEPS BELOW"});
  for (const pb::WorkflowTree::Step& step : tree.steps()) {
    table.Add({std::string(2 * static_cast<size_t>(step.depth()), ' ') + step.step(), step.model(),
               step.service_tier(), HumanDuration(DurationOf(step.start_offset())),
               HumanDuration(DurationOf(step.total_time())), Dollars(step.net()),
               Dollars(step.subtree_net())});
  }
  session.out() << table.Render() << "\n"
                << tree.steps_size() << " steps cost " << Dollars(tree.net()) << " and took "
                << HumanDuration(DurationOf(tree.elapsed())) << " ("
                << HumanDuration(DurationOf(tree.busy())) << " of work)\n";
  return absl::OkStatus();
}

struct VerifyFlags {
  IntervalFlags interval;
};

// What was found wrong, as the command's end.
absl::Status Verdict(const pb::VerifyUsageResponse& answer) {
  if (answer.clean()) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        answer.unexplained(), " requests, ", answer.ledger_faults_size(),
                        " faults of the ledger and ", answer.receipt_faults_size(),
                        " of workers' receipts are not explained")),
                    "USAGE_UNEXPLAINED");
}

// What jobs used, as the queues count it and as it came.
std::string JobsTable(const pb::VerifyUsageResponse& answer) {
  Table table({"USED BY JOBS", ">ATTEMPTS", ">TOKENS", ">WORK", ">CORE TIME"});
  const auto add = [&](const char* by, const pb::JobQuantities& used) {
    std::vector<std::string> cells = UsedCells(used);
    cells.insert(cells.begin(), by);
    table.Add(std::move(cells));
  };
  add("counted by queues", answer.jobs_counted());
  add("came to billing", answer.jobs_billed());
  return table.Render();
}

absl::Status Verify(Session& session, const VerifyFlags& flags) {
  pb::VerifyUsageRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_interval(), IntervalOf(flags.interval));
  FLOE_ASSIGN_OR_RETURN(
      const pb::VerifyUsageResponse answer,
      (Ask<pb::VerifyUsageResponse>(session, &Reports::Stub::VerifyUsage, request)));
  if (session.json) {
    session.PrintJson(MessageJson(answer));
    return Verdict(answer);
  }
  Table counts({"OUTPUT TOKENS", ">"});
  counts.Add({"computed by workers", HumanCount(answer.computed_tokens())});
  counts.Add({"sent by workers", HumanCount(answer.sent_tokens())});
  counts.Add({"counted by gateways", HumanCount(answer.arrived_tokens())});
  counts.Add({"charged in the ledger", HumanCount(answer.charged_tokens())});
  Table reasons({"EXPLAINED TOKENS", ">"});
  reasons.Add({"undelivered", HumanCount(answer.undelivered_tokens())});
  reasons.Add({"retried", HumanCount(answer.retried_tokens())});
  reasons.Add({"from the cache", HumanCount(answer.cached_tokens())});
  session.out() << counts.Render() << "\n" << reasons.Render() << "\n";
  if (answer.jobs_counted().attempts() > 0 || answer.jobs_billed().attempts() > 0) {
    session.out() << JobsTable(answer) << "\n";
  }
  for (const auto& difference : answer.differences()) {
    session.out() << difference.usage_id() << "  " << difference.what() << "\n";
  }
  for (const auto* faults : {&answer.ledger_faults(), &answer.receipt_faults()}) {
    for (const std::string& fault : *faults) session.out() << fault << "\n";
  }
  if (answer.clean()) {
    session.out() << "clean: all of " << HumanCount(answer.requests())
                  << " requests are explained, and every transaction sums to zero\n";
  }
  if (answer.receipts() > 0 && answer.receipt_faults().empty()) {
    session.out() << "whole: each of " << HumanCount(answer.receipts())
                  << " receipts of workers is as signed, and none is missing\n";
  }
  if (answer.on_the_way() > 0) {
    session.out() << "on their way: " << HumanCount(answer.on_the_way())
                  << " requests besides; a part of each came less than a minute ago\n";
  }
  return Verdict(answer);
}

}  // namespace

void AddReportCommands(CommandLine& line, CLI::App& bill) {
  auto& report = line.Keep<ReportFlags>();
  CLI::App* command = AddCommand(
      bill, "report", "Usage and cost, grouped as asked",
      "  floe bill report\n  floe bill report --by day,model --where team=nlp --month 2026-11\n"
      "  floe bill report --by tag:app --csv");
  command->add_option("--by", report.by,
                      "Columns: tenant team key model version tier token_kind operation day "
                      "workflow tag:<key>");
  command->add_option("--where", report.where, "Only these: team=nlp, model=…; may be repeated");
  command->add_flag("--csv", report.csv, "Comma-separated values");
  AddIntervalOptions(*command, report.interval, "this month so far");
  line.OnRun(command, [&report](Session& session) { return Report(session, report); });

  auto& explain = line.Keep<IdFlags>();
  command = AddCommand(bill, "explain", "How one charge came about, line by line",
                       "  floe bill explain 01j9…");
  command->add_option("usage", explain.id, "The usage id, from an answer's usage")->required();
  line.OnRun(command, [&explain](Session& session) { return Explain(session, explain); });

  auto& tree = line.Keep<IdFlags>();
  command = AddCommand(bill, "tree", "A workflow's steps with cost and latency",
                       "  floe bill tree trip-42");
  command->add_option("workflow", tree.id, "The workflow's id")->required();
  line.OnRun(command, [&tree](Session& session) { return Tree(session, tree); });

  auto& verify = line.Keep<VerifyFlags>();
  command = AddCommand(bill, "verify",
                       "Compare what workers computed, gateways counted and the ledger charged, "
                       "and check workers' receipts; fails when a difference is not explained",
                       "  floe bill verify\n  floe bill verify --month 2026-11");
  AddIntervalOptions(*command, verify.interval, "this month so far");
  line.OnRun(command, [&verify](Session& session) { return Verify(session, verify); });
}

}  // namespace floe::cli
