// floe-registry: versions, aliases, lineage and blobs.
#include "services/registry/service.h"
#include "services/runtime/config.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();  // before any thread
  floe::registry::ServiceOptions options;
  floe::runtime::Config config("floe-registry", "Versions, aliases, lineage and blobs.");
  floe::registry::AddOptions(options, config);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::registry::RunService(options, config));
}
