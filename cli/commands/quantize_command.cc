// floe models quantize: a version in 8 bits, and what that costs in quality.
#include <algorithm>
#include <iostream>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/commands/model_reference.h"
#include "cli/commands/model_transfer.h"
#include "cli/commands/pages.h"
#include "cli/commands/submit.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "model/quantization.h"
#include "trainer/alignment/spec/evaluate_spec.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;
using Stub = pb::RegistryService::Stub;
using Json = nlohmann::ordered_json;

struct QuantizeFlags {
  std::string model;
  std::vector<std::string> datasets;
};

absl::StatusOr<std::vector<pb::Dataset>> Datasets(Session& session, Door& door,
                                                  const std::vector<std::string>& names) {
  std::vector<pb::Dataset> datasets;
  for (const std::string& name : names) {
    pb::GetDatasetRequest request;
    FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("datasets", name));
    FLOE_ASSIGN_OR_RETURN(pb::Dataset dataset,
                          door.Ask(door.registry(), &Stub::GetDataset, request));
    datasets.push_back(std::move(dataset));
  }
  return datasets;
}

absl::StatusOr<pb::ModelVersion> MakeNarrow(Session& session, Door& door,
                                            const pb::ModelVersion& version) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder scratch, ScratchFolder::InTemp("floe-quantize"));
  const std::filesystem::path wide = scratch.path() / "wide", narrow = scratch.path() / "int8";
  std::error_code error;
  if (!std::filesystem::create_directory(wide, error)) {
    return ErrnoStatus(error.value(), absl::StrCat("cannot create ", wide.string()));
  }
  FLOE_RETURN_IF_ERROR(DownloadVersion(session, door, version, wide));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint source, model::Checkpoint::Open(wide));
  FLOE_RETURN_IF_ERROR(model::QuantizeCheckpoint(source, narrow).status());
  return PublishCheckpoint(session, door, narrow, ModelOf(version.name()));
}

int64_t WeightBytes(const pb::ModelVersion& version) {
  for (const auto& file : version.files()) {
    if (file.name() == "model.safetensors") return file.size_bytes();
  }
  return 0;
}

// The newest evaluation of the version on the dataset, by this task if one is given.
absl::StatusOr<pb::Evaluation> Evaluated(Door& door, const pb::ModelVersion& version,
                                         const pb::Dataset& dataset, const std::string& task) {
  pb::ListEvaluationsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door.Team());
  request.set_model_digest(version.digest());
  request.set_dataset_digest(dataset.digest());
  FLOE_ASSIGN_OR_RETURN(std::vector<pb::Evaluation> all,
                        (ListAll<pb::Evaluation>(
                            door, door.registry(), &Stub::ListEvaluations, request,
                            [](auto& page) -> auto& { return *page.mutable_evaluations(); })));
  std::erase_if(all, [&](const auto& one) { return !task.empty() && one.task() != task; });
  const auto newest = std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return TimeOf(a.create_time()) < TimeOf(b.create_time());
  });
  if (newest != all.end()) return *newest;
  return absl::NotFoundError(absl::StrCat("no evaluation of ", ShortVersion(version.name()), " on ",
                                          dataset.name(), " was kept; see `floe eval ls`"));
}

absl::Status Quantize(Session& session, const QuantizeFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
  FLOE_ASSIGN_OR_RETURN(const auto datasets, Datasets(session, *door, flags.datasets));
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion made, MakeNarrow(session, *door, version));
  if (!session.json) {
    Fields fields;
    fields.Add("version", absl::StrCat(made.name(), ", made of ", ShortVersion(version.name())));
    fields.Add("digest", absl::StrCat("sha256:", made.digest()));
    fields.Add("weights", absl::StrCat(HumanBytes(WeightBytes(version)), " -> ",
                                       HumanBytes(WeightBytes(made)), " (8 bits)"));
    session.out() << fields.Render() << std::flush;
  }
  const trainer::EvaluateSpec spec{.models = {version.name(), made.name()},
                                   .datasets = flags.datasets};
  FLOE_RETURN_IF_ERROR(SubmitAndTell(
      session,
      {"alignment", std::string(trainer::kEvaluateJobKind), trainer::EvaluateSpecJson(spec)},
      SubmitFlags{.watch = true}));
  Table table({"DATASET", "METRIC", ">BEFORE", ">IN 8 BITS", ">CHANGE"});
  Json changes = Json::array();
  for (const pb::Dataset& dataset : datasets) {
    FLOE_ASSIGN_OR_RETURN(const pb::Evaluation after, Evaluated(*door, made, dataset, ""));
    FLOE_ASSIGN_OR_RETURN(const pb::Evaluation before,
                          Evaluated(*door, version, dataset, after.task()));
    const std::map<std::string, double> sorted(before.metrics().begin(), before.metrics().end());
    for (const auto& [metric, value] : sorted) {
      const auto measured = after.metrics().find(metric);
      if (measured == after.metrics().end()) continue;
      const double now = measured->second;
      table.Add({LastId(dataset.name()), metric, absl::StrFormat("%.6g", value),
                 absl::StrFormat("%.6g", now),
                 value == 0 ? "-" : absl::StrFormat("%+.3f %%", 100 * (now - value) / value)});
      changes.push_back(
          {{"dataset", dataset.name()}, {"metric", metric}, {"before", value}, {"after", now}});
    }
  }
  if (session.json) {
    session.PrintJson({{"version", ToJson(made)}, {"from", version.name()}, {"changes", changes}});
  } else {
    session.out() << table.Render();
  }
  return absl::OkStatus();
}

}  // namespace

void AddQuantizeCommand(CLI::App& models, CommandLine& line) {
  auto& flags = line.Keep<QuantizeFlags>();
  CLI::App* command = AddCommand(
      models, "quantize", "Publish a version in 8 bits and measure the difference",
      "  floe models quantize hamlet --dataset plays-held-out\n\n"
      "The new version names the old one as its parent, takes a quarter of the memory and answers\n"
      "faster. Both are evaluated on the datasets, so that its gates can judge it like any other;\n"
      "it serves when an alias is moved to it (`floe models promote`). It cannot be trained on.");
  command->add_option("model", flags.model, kModelReference)->required();
  command->add_option("--dataset", flags.datasets, "To measure both on; may be given again")
      ->required()
      ->allow_extra_args(false);
  line.OnRun(command, [&flags](Session& session) { return Quantize(session, flags); });
}

}  // namespace floe::cli
