// floe-billing: price books, the ledger, budgets, reports and invoices.
#include "services/billing/run.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::services::billing::ServiceOptions options;
  floe::runtime::Config config("floe-billing",
                               "Price books, the ledger, budgets, reports and invoices.");
  floe::services::billing::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::services::billing::RunService(options, config));
}
