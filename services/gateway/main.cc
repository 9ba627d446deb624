// floe-gateway: the only way into the fleet, over HTTP and gRPC.
#include <stdlib.h>
#ifdef FLOE_TCMALLOC
#include <gperftools/malloc_extension.h>
#endif

#include "services/gateway/run.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"

namespace {

// tcmalloc keeps what was freed nearly for ever, so each larger burst of large requests would stay
// a step in the memory that the gateway holds: four fifths of it were free, and growing. Its
// environment variables have the last word.
void LimitFreeMemory() {
#ifdef FLOE_TCMALLOC
  MallocExtension& allocator = *MallocExtension::instance();
  if (getenv("TCMALLOC_RELEASE_RATE") == nullptr) allocator.SetMemoryReleaseRate(10);
  if (getenv("TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES") == nullptr) {
    allocator.SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", 8 << 20);
  }
#endif
}

}  // namespace

int main(int argc, char** argv) {
  LimitFreeMemory();
  floe::runtime::BlockShutdownSignals();
  floe::gateway::ServiceOptions options;
  floe::runtime::Config config("floe-gateway",
                               "The way into the fleet: OpenAI-compatible HTTP and the gRPC door.");
  floe::gateway::AddOptions(options, config);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::gateway::RunService(options, config));
}
