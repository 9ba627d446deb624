// A runner like floe-runner, whose one executor counts steps, keeps a checkpoint, and stands still
// where its specification says: something to kill in the middle of its work.
#include <cstdlib>
#include <future>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/runner/run.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"
#include "tests/services/runner/scripted_executor.h"

namespace floe::runner {
namespace {

// {"steps": 5, "stand_still_after": 3}: the first attempt stands still, later ones go on.
absl::StatusOr<std::string> CountSteps(const Assignment& job, Reporter& reporter,
                                       std::stop_token stop) {
  const auto spec = nlohmann::json::parse(job.spec);
  int step = 0;
  if (const auto checkpoint = ReadFile(job.folder / "checkpoint"); checkpoint.ok()) {
    step = std::stoi(*checkpoint);
    reporter.Info(absl::StrCat("resumed after step ", step));
  }
  while (step < spec["steps"].get<int>()) {
    ++step;
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(job.folder / "checkpoint", absl::StrCat(step)));
    reporter.Progress({.step = step, .steps = spec["steps"].get<int>()});
    if (job.attempt == 1 && step == spec["stand_still_after"].get<int>()) {
      reporter.Info("standing still");
      std::promise<void> stopped;
      const std::stop_callback heard(stop, [&] { stopped.set_value(); });
      stopped.get_future().wait();
    }
    if (stop.stop_requested()) return absl::CancelledError("stopped");
  }
  return absl::StrCat("step ", step);
}

absl::Status RunService(const RunnerOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("runner", options.common, config));
  ScriptedExecutor executor(CountSteps);
  return Run(*host, options, {&executor});
}

}  // namespace
}  // namespace floe::runner

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::runner::RunnerOptions options;
  floe::runtime::Config config("floe-test-runner", "Counts steps, for tests.");
  floe::runner::AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::runner::RunService(options, config));
}
