// floe bill report | explain | tree | verify | invoice | focus | quote | plan | training | books |
// budgets
#pragma once

#include "cli/bill/bill_text.h"
#include "cli/commands/commands.h"

namespace floe::cli {

void AddBillCommands(CommandLine& line);

// One function a group of them: each adds its commands to `bill`.
void AddReportCommands(CommandLine& line, CLI::App& bill);
void AddInvoiceCommands(CommandLine& line, CLI::App& bill);
void AddTrainingCommands(CommandLine& line, CLI::App& bill);
void AddPlanningCommands(CommandLine& line, CLI::App& bill);
void AddBookCommands(CommandLine& line, CLI::App& bill);
void AddBudgetCommands(CommandLine& line, CLI::App& bill);

// --month, --from and --to. `otherwise`: the stretch of time when none is given.
void AddIntervalOptions(CLI::App& command, IntervalFlags& flags, const char* otherwise);

}  // namespace floe::cli
