// floe-trainer: the queue of training jobs. Computes nothing itself: floe-runner does.
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"
#include "services/trainer/run.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::services::trainer::ServiceOptions options;
  floe::runtime::Config config("floe-trainer", "Checks, queues and shows training jobs.");
  floe::services::trainer::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::services::trainer::RunService(options, config));
}
