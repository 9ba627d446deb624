// floe models ls | show | verify; promote, rollback and gate stand in promotion_commands.cc, export
// and import in model_file_commands.cc, inspect in inspect_command.cc
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/model_reference.h"
#include "cli/commands/pages.h"
#include "cli/door/blobs.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"
#include "cli/output/transfer_meter.h"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;
using Json = nlohmann::ordered_json;

struct ModelFlags {
  std::string model;
};

absl::Status ListVersions(Session& session, Door& door, const std::string& model) {
  pb::ListModelVersionsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), session.ResourceName("models", model));
  FLOE_ASSIGN_OR_RETURN(
      const std::vector<pb::ModelVersion> versions,
      (ListAll<pb::ModelVersion>(
          door, door.registry(), &pb::RegistryService::Stub::ListModelVersions, request,
          [](auto& page) -> auto& { return *page.mutable_model_versions(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(versions));
    return absl::OkStatus();
  }
  Table table({"VERSION", "DIGEST", ">PARAMETERS", ">HELD-OUT LOSS", "ALIASES", "PUBLISHED"});
  for (const pb::ModelVersion& version : versions) {
    const auto loss = version.metrics().find("held_out_loss");
    table.Add({ShortVersion(version.name()), ShortDigest(version.digest()),
               HumanCount(version.parameters()),
               loss == version.metrics().end() ? "-" : absl::StrFormat("%.3f", loss->second),
               absl::StrJoin(version.aliases(), ", "),
               HumanTime(TimeOf(version.create_time()), absl::LocalTimeZone())});
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

absl::Status List(Session& session, const ModelFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  if (!flags.model.empty()) return ListVersions(session, *door, flags.model);
  pb::ListModelsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Model> models,
                        (ListAll<pb::Model>(
                            *door, door->registry(), &pb::RegistryService::Stub::ListModels,
                            request, [](auto& page) -> auto& { return *page.mutable_models(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(models));
    return absl::OkStatus();
  }
  Table table({"MODEL", ">VERSIONS", "NEWEST", "ALIASES", "SINCE"});
  for (const pb::Model& model : models) {
    std::vector<std::string> aliases;
    for (const pb::Alias& alias : model.aliases()) {
      aliases.push_back(absl::StrCat(LastId(alias.name()), "=", LastId(alias.version())));
    }
    table.Add({LastId(model.name()), absl::StrCat(model.version_count()),
               ShortVersion(model.latest_version()), absl::StrJoin(aliases, ", "),
               HumanTime(TimeOf(model.create_time()), absl::LocalTimeZone())});
  }
  session.out() << (table.empty() ? "No models yet; `floe train job.yaml` makes one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

std::string Parent(const std::string& name, const std::string& digest) {
  if (digest.empty()) return "-";
  return absl::StrCat(name.empty() ? "" : absl::StrCat(name, "  "), "sha256:", digest);
}

absl::Status Show(Session& session, const ModelFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
  if (session.json) {
    session.PrintJson(ToJson(version));
    return absl::OkStatus();
  }
  const pb::Lineage& lineage = version.lineage();
  Fields fields;
  fields.Add("version", version.name());
  fields.Add("digest", absl::StrCat("sha256:", version.digest()));
  fields.Add("parameters", HumanCount(version.parameters()));
  fields.Add("aliases", version.aliases().empty() ? "-" : absl::StrJoin(version.aliases(), ", "));
  fields.Add("published",
             absl::StrCat(HumanTime(TimeOf(version.create_time()), absl::LocalTimeZone()), " by ",
                          version.creator()));
  session.out() << fields.Render() << "\nmade from\n";
  Fields parents;
  parents.Add("  dataset", Parent(lineage.dataset(), lineage.dataset_digest()));
  parents.Add("  tokenizer", Parent(lineage.tokenizer(), lineage.tokenizer_digest()));
  if (!lineage.parent_digest().empty()) {
    parents.Add("  base", Parent("", lineage.parent_digest()));
  }
  parents.Add("  job", lineage.job().empty() ? "-" : lineage.job());
  session.out() << parents.Render();
  if (!version.metrics().empty()) {
    session.out() << "\nmeasured\n";
    Fields metrics;
    for (const auto& [name, value] :
         std::map<std::string, double>(version.metrics().begin(), version.metrics().end())) {
      metrics.Add("  " + name, absl::StrFormat("%.6g", value));
    }
    session.out() << metrics.Render();
  }
  session.out() << "\n";
  Table files({"FILE", ">SIZE", "SHA-256"});
  for (const auto& file : version.files()) {
    files.Add({file.name(), HumanBytes(file.size_bytes()), file.digest()});
  }
  session.out() << files.Render();
  return absl::OkStatus();
}

// Every blob is read where it is stored; all are looked at, though one be bad.
absl::Status Verify(Session& session, const ModelFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
  Table table({"FILE", ">SIZE", "SHA-256", "VERDICT"});
  Json files = Json::array();
  std::vector<std::string> bad;
  const auto tell = [&](const std::string& name, int64_t size, const std::string& digest,
                        const absl::Status& verdict) {
    const std::string word = verdict.ok() ? "ok" : std::string(verdict.message());
    table.Add({name, HumanBytes(size), digest, word});
    files.push_back({{"name", name}, {"digest", digest}, {"ok", verdict.ok()}, {"verdict", word}});
    if (!verdict.ok()) bad.push_back(name);
  };
  const std::string& manifest = version.manifest();
  tell("floe.json", static_cast<int64_t>(manifest.size()), version.digest(),
       Sha256::Hex(manifest) == version.digest()
           ? absl::OkStatus()
           : absl::DataLossError("its bytes have another digest"));
  for (const auto& file : version.files()) {
    pb::VerifyBlobRequest request;
    request.set_digest(file.digest());
    const auto blob = door->Ask(door->blobs(), &pb::BlobService::Stub::VerifyBlob, request, {},
                                absl::Minutes(30));
    if (!blob.ok() && !absl::IsDataLoss(blob.status()) && !absl::IsNotFound(blob.status())) {
      return blob.status();
    }
    tell(file.name(), file.size_bytes(), file.digest(), blob.status());
  }
  if (session.json) {
    session.PrintJson({{"version", version.name()}, {"ok", bad.empty()}, {"files", files}});
  } else {
    session.out() << table.Render();
  }
  if (!bad.empty()) {
    return absl::DataLossError(absl::StrCat(
        ShortVersion(version.name()), ": damaged or missing: ", absl::StrJoin(bad, ", "),
        "; restore the blob from a backup, or publish the version again"));
  }
  if (!session.json) session.out() << "every byte is what the digest says\n";
  return absl::OkStatus();
}

}  // namespace

void AddModelCommands(CommandLine& line) {
  CLI::App* group =
      AddGroup(line.app(), "models", "Frozen checkpoints: versions, aliases, lineage");
  const char* what = kModelReference;
  auto& list = line.Keep<ModelFlags>();
  CLI::App* command = AddCommand(*group, "ls", "List the team's models, or one model's versions",
                                 "  floe models ls\n  floe models ls hamlet");
  command->add_option("model", list.model, "A model's id");
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  const auto add = [&](const char* name, const char* about, const char* examples, auto& flags,
                       auto action) {
    CLI::App* one = AddCommand(*group, name, about, examples);
    one->add_option("model", flags.model, what)->required();
    line.OnRun(one, [&flags, action](Session& session) { return action(session, flags); });
    return one;
  };
  add("show", "One version: digest, lineage, measurements, aliases, files",
      "  floe models show hamlet\n  floe models show hamlet@3 --json | jq .lineage",
      line.Keep<ModelFlags>(), Show);
  AddPromotionCommands(*group, line);
  add("verify", "Compare every stored byte of a version with its digest",
      "  floe models verify hamlet\n\nEnds with 7 and names the file when a byte has changed.",
      line.Keep<ModelFlags>(), Verify);
  AddModelFileCommands(*group, line);
  AddQuantizeCommand(*group, line);
  AddInspectCommand(*group, line);
}

}  // namespace floe::cli
