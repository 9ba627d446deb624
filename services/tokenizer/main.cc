// floe-tokenizer: text to ids and back by registered tokenizers, and the jobs that train them.
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"
#include "services/tokenizer/run.h"

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::services::tokenizer::ServiceOptions options;
  floe::runtime::Config config(
      "floe-tokenizer",
      "Encodes, decodes and counts by registered tokenizers, and queues jobs that "
      "train them.");
  floe::services::tokenizer::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::services::tokenizer::RunService(options, config));
}
