// floe bill invoice | focus
#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "floe/billing/v1/report.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using Reports = pb::ReportService;

struct InvoiceFlags {
  std::string month, team, html;
  bool csv = false, issue = false;
};

absl::StatusOr<std::string> InvoiceName(Session& session, const InvoiceFlags& flags) {
  if (flags.team.empty()) return session.ResourceName("invoices", flags.month);
  return absl::StrCat("teams/", flags.team, "/invoices/", flags.month);
}

absl::Status Print(Session& session, const pb::Invoice& invoice) {
  Table table({"WHAT", "TIER", "KIND", ">QUANTITY", ">PRICE OF ONE", ">EXACT", ">USD", "LATE FOR"});
  for (const pb::Invoice::Line& line : invoice.lines()) {
    table.Add({line.model().empty() ? line.operation() : line.model(), line.service_tier(),
               line.kind(), HumanCount(line.quantity()), Dollars(line.unit_price()),
               Dollars(line.exact_amount()), Dollars(line.amount()), line.correction_of()});
  }
  table.Add(
      {"total", "", "", "", "", Dollars(invoice.exact_total()), Dollars(invoice.total()), ""});
  session.out() << invoice.name() << "  "
                << (invoice.state() == pb::Invoice::ISSUED ? "issued" : "draft") << "\n\n"
                << table.Render() << "\nrounded once: " << Dollars(invoice.rounding()) << "\n";
  return absl::OkStatus();
}

absl::Status Invoice(Session& session, const InvoiceFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const std::string name, InvoiceName(session, flags));
  if (flags.issue) {
    pb::IssueInvoiceRequest issue;
    issue.set_name(name);
    issue.set_request_id(NewRequestId());
    FLOE_RETURN_IF_ERROR(door->Ask(*stub, &Reports::Stub::IssueInvoice, issue).status());
  }
  pb::GetInvoiceRequest request;
  request.set_name(name);
  request.set_html(!flags.html.empty());
  request.set_csv(flags.csv);
  FLOE_ASSIGN_OR_RETURN(const pb::Invoice invoice,
                        door->Ask(*stub, &Reports::Stub::GetInvoice, request));
  if (!flags.html.empty()) {
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(session.folder / flags.html, invoice.html()));
    session.err() << "wrote " << flags.html << "\n";
  }
  if (flags.csv) {
    session.out() << invoice.csv();
    return absl::OkStatus();
  }
  if (!session.json) return Print(session, invoice);
  session.PrintJson(MessageJson(invoice));
  return absl::OkStatus();
}

struct FocusFlags {
  std::string month, team;
};

absl::Status Focus(Session& session, const FocusFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Reports::NewStub(door->channel());
  pb::ExportFocusRequest request;
  request.set_month(flags.month);
  request.set_team(flags.team);
  grpc::ClientContext context;
  door->Prepare(context, absl::Minutes(10));
  const auto stream = stub->ExportFocus(&context, request);
  pb::ExportFocusResponse piece;
  while (stream->Read(&piece)) session.out() << piece.csv();
  return door->StatusOf(stream->Finish());
}

}  // namespace

void AddInvoiceCommands(CommandLine& line, CLI::App& bill) {
  auto& invoice = line.Keep<InvoiceFlags>();
  CLI::App* command = AddCommand(
      bill, "invoice", "A month's invoice; a draft until it is issued",
      "  floe bill invoice 2026-11\n  floe bill invoice 2026-10 --issue --html oct.html");
  command->add_option("month", invoice.month, "2026-11")->required();
  command->add_option("--team", invoice.team, "Another team than the key's");
  command->add_option("--html", invoice.html, "Write it as a page to this file");
  command->add_flag("--csv", invoice.csv, "Comma-separated values");
  command->add_flag("--issue", invoice.issue, "Close the month: it never changes again");
  line.OnRun(command, [&invoice](Session& session) { return Invoice(session, invoice); });

  auto& focus = line.Keep<FocusFlags>();
  command = AddCommand(bill, "focus", "A month as FOCUS 1.2 rows (CSV)",
                       "  floe bill focus 2026-11 > focus.csv");
  command->add_option("month", focus.month, "2026-11")->required();
  command->add_option("--team", focus.team, "One team only");
  line.OnRun(command, [&focus](Session& session) { return Focus(session, focus); });
}

}  // namespace floe::cli
