#include "services/inference/service.h"
#include "services/runtime/config.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();  // before any thread
  floe::inference::ServiceOptions options;
  floe::runtime::Config config("floe-inference", "Computes: tokens in, next tokens out.");
  floe::inference::AddOptions(options, config);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::inference::RunService(options, config));
}
