// floe-retrieval: private knowledge, found again with citations.
#include "services/retrieval/service.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();  // before any thread
  floe::retrieval::ServiceOptions options;
  floe::runtime::Config config("floe-retrieval", "Private knowledge, found again with citations.");
  floe::retrieval::AddOptions(options, config);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::retrieval::RunService(options, config));
}
