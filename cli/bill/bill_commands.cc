#include "cli/bill/bill_commands.h"

#include "absl/strings/str_cat.h"

namespace floe::cli {

void AddIntervalOptions(CLI::App& command, IntervalFlags& flags, const char* otherwise) {
  command.add_option("--month", flags.month, absl::StrCat("A month, 2026-11 [", otherwise, "]"));
  command.add_option("--from", flags.from, "From then on: 2026-11-01 or RFC 3339");
  command.add_option("--to", flags.to, "Before then");
}

void AddBillCommands(CommandLine& line) {
  CLI::App* bill =
      AddGroup(line.app(), "bill", "What it costs: reports, invoices, prices, budgets");
  AddReportCommands(line, *bill);
  AddInvoiceCommands(line, *bill);
  AddTrainingCommands(line, *bill);
  AddPlanningCommands(line, *bill);
  AddBookCommands(line, *bill);
  AddBudgetCommands(line, *bill);
}

}  // namespace floe::cli
