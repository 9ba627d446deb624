// floe-pretrain: trains a model from files, without a fleet; also each rank of a run of several.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "services/runtime/config.h"
#include "services/runtime/host.h"
#include "services/runtime/shutdown.h"
#include "services/trainer/pretrain/pretrain_files.h"
#include "trainer/compute.h"
#include "trainer/distributed/local_ranks.h"

namespace {

constexpr int kSuspended = 75;  // EX_TEMPFAIL: start it again, and it goes on

constexpr char kWhat[] =
    "Trains a model from files and writes a checkpoint folder; started again it goes on from its "
    "last saved state. After SIGTERM it saves and ends with code 75. Several processes train "
    "together when the specification's train.processes says so (on this machine), or when RANK "
    "(or a Kubernetes JOB_COMPLETION_INDEX), WORLD_SIZE, MASTER_ADDR and MASTER_PORT say so.";

void AddOptions(floe::runtime::Config& config, floe::trainer::PretrainFilesOptions& options) {
  config.Add("spec", options.spec, "The job's specification, a file");
  config.Add("corpus", options.corpus, "The text to learn from, a file");
  config.Add("format", options.format, "Of the corpus: text or jsonl");
  config.Add("tokenizer", options.tokenizer, "A tokenizer.json");
  config.Add("work-dir", options.work_dir, "Folder of tokens, states, checkpoint and logs");
  config.Add("threads", options.threads, "Of each process; 0: a share of the machine's");
  config.AddCheck([&options]() -> absl::Status {
    for (const auto& [name, value] : {std::pair{"spec", &options.spec},
                                      {"corpus", &options.corpus},
                                      {"tokenizer", &options.tokenizer},
                                      {"work-dir", &options.work_dir}}) {
      if (value->empty()) return absl::InvalidArgumentError(absl::StrCat("give --", name));
    }
    if (options.threads < 0 || options.threads > 1024) {
      return absl::InvalidArgumentError("threads must be 0 to 1024");
    }
    return absl::OkStatus();
  });
}

absl::Status Train(const floe::trainer::PretrainFilesOptions& options, std::stop_token stop) {
  const auto place = floe::trainer::RankPlaceOfEnvironment();
  if (!place.ok()) return place.status();
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  // As flags, wherever they came from.
  const std::vector<std::string> same = {self,
                                         "--spec",
                                         options.spec,
                                         "--corpus",
                                         options.corpus,
                                         "--format",
                                         options.format,
                                         "--tokenizer",
                                         options.tokenizer,
                                         "--work-dir",
                                         options.work_dir,
                                         "--threads",
                                         absl::StrCat(options.threads)};
  return floe::trainer::PretrainFiles(options, *place, same, std::cout, stop);
}

}  // namespace

int main(int argc, char** argv) {
  floe::trainer::RestartWithTunedLibraries(argv);
  floe::trainer::EndWithParentRank();
  floe::runtime::BlockShutdownSignals();  // before any thread
  floe::trainer::PretrainFilesOptions options;
  floe::runtime::Config config("floe-pretrain", kWhat);
  AddOptions(config, options);
  if (const auto code = config.Parse(argc, argv)) return *code;
  std::stop_source stop;
  std::thread([stop]() mutable {
    floe::runtime::ShutdownSignal().Wait();
    stop.request_stop();
  }).detach();
  const absl::Status status = Train(options, stop.get_token());
  const int code = absl::IsCancelled(status)
                       ? (std::cerr << status.message() << std::endl, kSuspended)
                       : floe::runtime::ExitCode(status);
  std::cout.flush();
  // What is left waits for processes that may be gone: only the end of this one is left.
  std::_Exit(code);
}
