// floe train: submits a job that makes or judges a model.
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/commands/submit.h"
#include "nlohmann/json.hpp"
#include <yaml-cpp/yaml.h>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/yaml/yaml_map.h"
#include "trainer/spec/presets.h"

namespace floe::cli {
namespace {

constexpr uint64_t kMaxSpecBytes = 1 << 20;

struct TrainFlags {
  std::string file;
  std::string kind;
  std::vector<std::string> set;
  std::string preset;
  bool list_presets = false;
  SubmitFlags submit;
};

struct Kind {
  std::string_view name;
  std::string_view service;
};
constexpr std::array<Kind, 4> kKinds = {{{"pretrain", "trainer"},
                                         {"sft", "alignment"},
                                         {"dpo", "alignment"},
                                         {"evaluate", "alignment"}}};

// The file with top-level keys set anew, and the kind that it says it is.
absl::Status Prepare(const TrainFlags& flags, std::string& spec, std::string& kind) {
  return ReadYaml(spec, kMaxSpecBytes, [&](const YAML::Node& root) -> absl::Status {
    if (!root.IsMap()) return BadYaml(root, "a job file must be a map of keys and values");
    YAML::Node node = YAML::Clone(root);
    for (const std::string& change : flags.set) {
      const size_t equals = change.find('=');
      if (equals == 0 || equals == std::string::npos) {
        return absl::InvalidArgumentError(
            absl::StrCat("--set is '", change, "'; write KEY=VALUE, such as base=hamlet@3"));
      }
      node[change.substr(0, equals)] = change.substr(equals + 1);
    }
    // Left as it was written where nothing is set, so that messages have the file's own lines.
    if (!flags.set.empty()) spec = YAML::Dump(node);
    if (node["kind"].IsDefined() && node["kind"].IsScalar()) kind = node["kind"].Scalar();
    return absl::OkStatus();
  });
}

void ListPresets(Session& session) {
  if (session.json) {
    auto list = nlohmann::ordered_json::array();
    for (const trainer::Preset& preset : trainer::Presets()) {
      const model::Blueprint& dials = preset.blueprint;
      list.push_back({{"name", std::string(preset.name)},
                      {"purpose", std::string(preset.purpose)},
                      {"num_layers", dials.num_layers},
                      {"num_heads", dials.num_heads},
                      {"hidden_size", dials.hidden_size},
                      {"ffn_hidden", dials.ffn_hidden},
                      {"context", dials.context},
                      {"batch_size", preset.batch_size}});
    }
    session.PrintJson(list);
    return;
  }
  session.out() << "preset  layers  heads  width   FFN  context  batch  for\n";
  for (const trainer::Preset& preset : trainer::Presets()) {
    const model::Blueprint& dials = preset.blueprint;
    session.out() << absl::StrFormat(
        "%-6s  %6d  %5d  %5d  %4d  %7d  %5d  %s\n", preset.name, dials.num_layers, dials.num_heads,
        dials.hidden_size, dials.ffn_hidden, dials.context, preset.batch_size, preset.purpose);
  }
}

absl::Status Train(Session& session, TrainFlags flags) {
  if (flags.list_presets) {
    ListPresets(session);
    return absl::OkStatus();
  }
  if (flags.file.empty()) {
    return absl::InvalidArgumentError("no job file is given; write floe train FILE");
  }
  if (!flags.preset.empty()) flags.set.push_back("preset=" + flags.preset);
  FLOE_ASSIGN_OR_RETURN(std::string spec, ReadFile(session.folder / flags.file, kMaxSpecBytes));
  std::string kind(kKinds[0].name);
  const absl::Status prepared = Prepare(flags, spec, kind);
  if (!prepared.ok()) {
    return absl::Status(prepared.code(), absl::StrCat(flags.file, ": ", prepared.message()));
  }
  if (!flags.kind.empty()) kind = flags.kind;
  for (const Kind& known : kKinds) {
    if (kind != known.name) continue;
    return SubmitAndTell(session, {std::string(known.service), kind, std::move(spec)},
                         flags.submit);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flags.file, ": kind is '", kind, "'; known are pretrain, sft, dpo, evaluate"));
}

}  // namespace

void AddTrainCommand(CommandLine& line) {
  auto& flags = line.Keep<TrainFlags>();
  CLI::App* command = AddCommand(
      line.app(), "train",
      "Submit a job that trains, aligns or evaluates, described in a YAML file",
      "  floe train docs/examples/pretrain.yaml --watch\n"
      "  floe train docs/examples/sft.yaml --set base=hamlet@3 --watch\n"
      "  floe train job.yaml --priority -10      # after what others wait for\n"
      "  floe train --list-presets\n"
      "  job=$(floe train job.yaml --json | jq -r .name) && floe jobs watch \"$job\"\n\n"
      "`kind` in the file says what it is: pretrain (when it is not there), sft, dpo or evaluate.\n"
      "What is wrong in it is said with its line, all of it at once, before anything is queued.");
  command->add_option("file", flags.file, "The job file");
  command->add_option("--kind", flags.kind, "The kind of job [what the file says]");
  command->add_option("--set", flags.set, "KEY=VALUE: a top-level key instead of the file's")
      ->allow_extra_args(false);
  command->add_option("--preset", flags.preset, "A shape to begin with: --set preset=NAME");
  command->add_flag("--list-presets", flags.list_presets, "Show the shapes that have a name");
  AddSubmitOptions(*command, flags.submit);
  line.OnRun(command, [&flags](Session& session) { return Train(session, flags); });
}

}  // namespace floe::cli
