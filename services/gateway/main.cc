// floe-gateway: the only way into the fleet, over HTTP and gRPC.
#include "services/gateway/run.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::gateway::ServiceOptions options;
  floe::runtime::Config config("floe-gateway",
                               "The way into the fleet: OpenAI-compatible HTTP and the gRPC door.");
  floe::gateway::AddOptions(options, config);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::gateway::RunService(options, config));
}
