// floe-alignment: the queue of alignment and evaluation jobs. Computes nothing itself: floe-runner
// does.
#include "services/alignment/run.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::services::alignment::ServiceOptions options;
  floe::runtime::Config config("floe-alignment",
                               "Checks, queues and shows alignment and evaluation jobs.");
  floe::services::alignment::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::services::alignment::RunService(options, config));
}
