// floe train: submits a pre-training job.
#include "cli/commands/commands.h"
#include "cli/commands/submit.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

struct TrainFlags {
  std::string file;
  bool watch = false;
};

absl::Status Train(Session& session, const TrainFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(std::string spec, ReadFile(session.folder / flags.file, 1 << 20));
  return SubmitAndTell(session, {"trainer", "pretrain", std::move(spec)}, flags.watch);
}

}  // namespace

void AddTrainCommand(CommandLine& line) {
  auto& flags = line.Keep<TrainFlags>();
  CLI::App* command = AddCommand(
      line.app(), "train", "Submit a pre-training job, described in a YAML file",
      "  floe train docs/examples/pretrain.yaml --watch\n"
      "  job=$(floe train job.yaml --json | jq -r .name) && floe jobs watch \"$job\"\n\n"
      "The file names the model to publish, the dataset, the tokenizer, the blueprint (its dials)\n"
      "and how to train. What is wrong in it is said with its line before anything is queued.");
  command->add_option("file", flags.file, "The job file")->required();
  command->add_flag("-w,--watch", flags.watch, "Follow the job to its end");
  line.OnRun(command, [&flags](Session& session) { return Train(session, flags); });
}

}  // namespace floe::cli
