// floe-runner: executes the jobs of the fleet.
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/status/status.h"

#include "base/status_macros.h"
#include "services/alignment/executor/align_executor.h"
#include "services/alignment/executor/evaluate_executor.h"
#include "services/alignment/executor/inspect_executor.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/run.h"
#include "services/runner/tokenizer_train_executor.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"
#include "services/trainer/executor/pretrain_executor.h"
#include "trainer/compute.h"

namespace floe::runner {
namespace {

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> WorkerChannels(
    const RunnerOptions& options) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const std::string& address : options.workers) {
    FLOE_ASSIGN_OR_RETURN(
        auto channel, runtime::MakeChannel(address, options.common.tls, options.common.insecure));
    channels.push_back(std::move(channel));
  }
  return channels;
}

absl::Status RunService(const RunnerOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("runner", options.common, config));
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  registry::RegistryClient registry(std::move(channel));
  TokenizerTrainExecutor tokenizer_train(registry, host->clock(), ThreadsOf(options));
  PretrainExecutor pretrain(registry, host->clock(), ThreadsOf(options));
  AlignExecutor sft(trainer::AlignKind::kSft, registry, host->clock(), ThreadsOf(options));
  AlignExecutor dpo(trainer::AlignKind::kDpo, registry, host->clock(), ThreadsOf(options));
  FLOE_ASSIGN_OR_RETURN(const auto channels, WorkerChannels(options));
  Workers workers(channels);
  EvaluateExecutor evaluate(registry, workers);
  InspectExecutor inspect(registry, ThreadsOf(options));
  const absl::Status status =
      Run(*host, options, {&tokenizer_train, &pretrain, &sft, &dpo, &evaluate, &inspect});
  // A job that does not stop still uses these parts: only the end of the process is left.
  if (absl::IsDeadlineExceeded(status)) std::_Exit(runtime::ExitCode(status));
  return status;
}

}  // namespace
}  // namespace floe::runner

int main(int argc, char** argv) {
  floe::trainer::RestartWithTunedLibraries(argv);
  floe::runtime::BlockShutdownSignals();  // before any thread
  floe::runner::RunnerOptions options;
  floe::runtime::Config config("floe-runner", "Executes jobs of the fleet's queues.");
  floe::runner::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::runner::RunService(options, config));
}
