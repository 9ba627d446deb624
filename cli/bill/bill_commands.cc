#include "cli/bill/bill_commands.h"

namespace floe::cli {

void AddBillCommands(CommandLine& line) {
  CLI::App* bill =
      AddGroup(line.app(), "bill", "What it costs: reports, invoices, prices, budgets");
  AddReportCommands(line, *bill);
  AddInvoiceCommands(line, *bill);
  AddPlanningCommands(line, *bill);
  AddBookCommands(line, *bill);
  AddBudgetCommands(line, *bill);
}

}  // namespace floe::cli
