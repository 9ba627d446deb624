// floe bill budgets ls | create | set | rm | slices | write-off
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/commands/pages.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"
#include "floe/billing/v1/budget.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using Budgets = pb::BudgetService;

std::string SubjectText(const pb::Subject& subject) {
  if (subject.has_tenant()) return absl::StrCat("tenant ", subject.tenant());
  if (subject.has_team()) return absl::StrCat("team ", subject.team());
  return subject.has_key() ? subject.key() : subject.workflow();
}

absl::Status PrintAll(Session& session, const std::vector<pb::Budget>& budgets) {
  if (session.json) {
    auto array = nlohmann::ordered_json::array();
    for (const pb::Budget& budget : budgets) array.push_back(MessageJson(budget));
    session.PrintJson(array);
    return absl::OkStatus();
  }
  Table table({"BUDGET", "OF", "PERIOD", ">LIMIT", ">SPENT", ">RESERVED"});
  for (const pb::Budget& budget : budgets) {
    table.Add({LastId(budget.name()), SubjectText(budget.subject()),
               absl::AsciiStrToLower(pb::Budget::Period_Name(budget.period())),
               Dollars(budget.limit()), Dollars(budget.spent()), Dollars(budget.held())});
  }
  session.out() << (table.empty() ? "No budgets: nothing limits spending.\n" : table.Render());
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Budgets::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Budget> budgets,
                        (ListAll<pb::Budget>(
                            *door, *stub, &Budgets::Stub::ListBudgets, pb::ListBudgetsRequest(),
                            [](auto& page) -> auto& { return *page.mutable_budgets(); })));
  return PrintAll(session, budgets);
}

struct BudgetFlags {
  std::string id, limit, period = "month", tenant, team, key, workflow, name, reason;
  bool held = false;
};

absl::Status SetSubject(Session& session, Door& door, const BudgetFlags& flags,
                        pb::Subject& subject) {
  if (!flags.tenant.empty()) {
    subject.set_tenant(flags.tenant);
  } else if (!flags.key.empty()) {
    FLOE_ASSIGN_OR_RETURN(*subject.mutable_key(), session.ResourceName("keys", flags.key));
  } else if (!flags.workflow.empty()) {
    FLOE_ASSIGN_OR_RETURN(*subject.mutable_workflow(),
                          session.ResourceName("workflows", flags.workflow));
  } else if (!flags.team.empty()) {
    subject.set_team(flags.team);
  } else {
    FLOE_ASSIGN_OR_RETURN(const std::string own, door.Team());
    subject.set_team(LastId(own));
  }
  return absl::OkStatus();
}

absl::Status Create(Session& session, const BudgetFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CreateBudgetRequest request;
  request.set_budget_id(flags.id);
  pb::Budget& budget = *request.mutable_budget();
  budget.set_display_name(flags.name);
  FLOE_ASSIGN_OR_RETURN(*budget.mutable_limit(), ParseDollars(flags.limit));
  FLOE_RETURN_IF_ERROR(SetSubject(session, *door, flags, *budget.mutable_subject()));
  pb::Budget::Period period = pb::Budget::PERIOD_UNSPECIFIED;
  if (!pb::Budget::Period_Parse(absl::AsciiStrToUpper(flags.period), &period)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--period ", flags.period, ": write day, month or total"));
  }
  budget.set_period(period);
  request.set_request_id(NewRequestId());
  const auto stub = Budgets::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::Budget made,
                        door->Ask(*stub, &Budgets::Stub::CreateBudget, request));
  return PrintAll(session, {made});
}

absl::Status Set(Session& session, const BudgetFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::UpdateBudgetRequest request;
  request.mutable_budget()->set_name("budgets/" + LastId(flags.id));
  FLOE_ASSIGN_OR_RETURN(*request.mutable_budget()->mutable_limit(), ParseDollars(flags.limit));
  request.mutable_update_mask()->add_paths("limit");
  request.set_request_id(NewRequestId());
  const auto stub = Budgets::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::Budget changed,
                        door->Ask(*stub, &Budgets::Stub::UpdateBudget, request));
  return PrintAll(session, {changed});
}

absl::Status Remove(Session& session, const BudgetFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::DeleteBudgetRequest request;
  request.set_name("budgets/" + LastId(flags.id));
  request.set_request_id(NewRequestId());
  const auto stub = Budgets::NewStub(door->channel());
  return door->Ask(*stub, &Budgets::Stub::DeleteBudget, request).status();
}

absl::Status PrintSlices(Session& session, const std::vector<pb::Slice>& slices) {
  if (session.json) {
    auto array = nlohmann::ordered_json::array();
    for (const pb::Slice& slice : slices) array.push_back(MessageJson(slice));
    session.PrintJson(array);
    return absl::OkStatus();
  }
  Table table({"SLICE", "GATEWAY", "STATE", ">AMOUNT", ">SETTLED", ">RESERVED", "LEASE ENDS"});
  for (const pb::Slice& slice : slices) {
    table.Add({slice.name(), slice.gateway(),
               absl::AsciiStrToLower(pb::Slice::State_Name(slice.state())), Dollars(slice.amount()),
               Dollars(slice.settled()), Dollars(slice.held()),
               HumanTime(TimeOf(slice.expire_time()), absl::LocalTimeZone())});
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

absl::Status Slices(Session& session, const BudgetFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::ListSlicesRequest request;
  request.set_parent("budgets/" + LastId(flags.id));
  request.set_held_only(flags.held);
  const auto stub = Budgets::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Slice> slices,
                        (ListAll<pb::Slice>(
                            *door, *stub, &Budgets::Stub::ListSlices, request,
                            [](auto& page) -> auto& { return *page.mutable_slices(); })));
  return PrintSlices(session, slices);
}

absl::Status WriteOff(Session& session, const BudgetFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::WriteOffSliceRequest request;
  request.set_name(flags.id);
  request.set_reason(flags.reason);
  const auto stub = Budgets::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::Slice slice,
                        door->Ask(*stub, &Budgets::Stub::WriteOffSlice, request));
  return PrintSlices(session, {slice});
}

// A command with flags of its own that names a budget first.
BudgetFlags& WithId(CommandLine& line, CLI::App* command, const char* what,
                    absl::Status (*run)(Session&, const BudgetFlags&)) {
  auto& flags = line.Keep<BudgetFlags>();
  command->add_option("id", flags.id, what)->required();
  line.OnRun(command, [&flags, run](Session& session) { return run(session, flags); });
  return flags;
}

}  // namespace

void AddBudgetCommands(CommandLine& line, CLI::App& bill) {
  CLI::App* budgets = AddGroup(bill, "budgets", "How much may be spent, and by whom");
  CLI::App* command = AddCommand(*budgets, "ls", "List them with what is spent and reserved",
                                 "  floe bill budgets ls");
  line.OnRun(command, List);

  command = AddCommand(*budgets, "create", "Make one; without a subject for the key's team",
                       "  floe bill budgets create daily 5.00 --period day\n"
                       "  floe bill budgets create ci 1.00 --key 01j9… --period month");
  BudgetFlags& create = WithId(line, command, "Its id", Create);
  command->add_option("limit", create.limit, "Dollars; 0 stops all")->required();
  command->add_option("--period", create.period, "day, month or total [month]");
  command->add_option("--tenant", create.tenant, "Of a tenant");
  command->add_option("--team", create.team, "Of another team than the key's");
  command->add_option("--key", create.key, "Of a key");
  command->add_option("--workflow", create.workflow, "Of a workflow");
  command->add_option("--name", create.name, "For people");

  command = AddCommand(*budgets, "set", "Change the limit", "  floe bill budgets set daily 7.50");
  BudgetFlags& set = WithId(line, command, "The budget", Set);
  command->add_option("limit", set.limit, "Dollars")->required();

  command = AddCommand(*budgets, "rm", "End a budget", "  floe bill budgets rm daily");
  WithId(line, command, "The budget", Remove);

  command = AddCommand(*budgets, "slices", "Which gateways hold parts of it",
                       "  floe bill budgets slices daily --held");
  BudgetFlags& slices = WithId(line, command, "The budget", Slices);
  command->add_flag("--held", slices.held, "Only those that hold something");

  command = AddCommand(
      *budgets, "write-off", "Free what a gateway that will not come back still holds",
      "  floe bill budgets write-off budgets/daily/slices/01j9… --reason 'its disk is lost'");
  BudgetFlags& write_off = WithId(line, command, "The slice's full name", WriteOff);
  command->add_option("--reason", write_off.reason, "Why; kept")->required();
}

}  // namespace floe::cli
