// floe models export | import: checkpoints as files.
#include <errno.h>

#include <iostream>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/commands/gguf_tokenizer.h"
#include "cli/commands/model_reference.h"
#include "cli/commands/model_transfer.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/resource_name.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/hugging_face_folder.h"
#include "tokenizer/tokenizer.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct ExportFlags {
  std::string model;
  std::string to;
  std::string format = "hf";
};

absl::Status WriteGgufOf(const fs::path& folder, const pb::ModelVersion& version,
                         const fs::path& to) {
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint, model::Checkpoint::Open(folder));
  std::map<std::string, std::string> files;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    if (!checkpoint.manifest().files.contains(name)) continue;
    FLOE_ASSIGN_OR_RETURN(files[name], ReadFile(folder / name));
  }
  FLOE_ASSIGN_OR_RETURN(const model::GgufTokenizer tokenizer, GgufTokenizerOf(files));
  return model::WriteGguf(to, checkpoint, tokenizer, ShortVersion(version.name()));
}

// Says which version is meant, and what is left for one that no other program computes.
absl::Status OfVersion(const absl::Status& status, const pb::ModelVersion& version) {
  if (status.ok()) return status;
  const char* otherwise =
      absl::IsUnimplemented(status)
          ? "; --format floe writes the folder as it is, for another fleet to import"
          : "";
  return absl::Status(
      status.code(), absl::StrCat(ShortVersion(version.name()), ": ", status.message(), otherwise));
}

absl::Status CheckHf(const pb::ModelVersion& version) {
  FLOE_ASSIGN_OR_RETURN(const auto manifest, model::Manifest::Parse(version.manifest()));
  return OfVersion(model::CheckOthersRead(manifest), version);
}

absl::Status Export(Session& session, const ExportFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
  if (flags.format == "hf") FLOE_RETURN_IF_ERROR(CheckHf(version));
  const bool gguf = flags.format == "gguf";
  const std::string otherwise = absl::StrCat(LastId(ModelOf(version.name())), "-",
                                             LastId(version.name()), gguf ? ".gguf" : "");
  const fs::path to = session.folder / (flags.to.empty() ? otherwise : flags.to);
  std::error_code error;
  if (fs::exists(to, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(to.string(), " exists already; name one that does not"));
  }
  FLOE_ASSIGN_OR_RETURN(ScratchFolder unfinished,
                        ScratchFolder::At(absl::StrCat(to.string(), ".unfinished")));
  FLOE_RETURN_IF_ERROR(DownloadVersion(session, *door, version, unfinished.path()));
  if (gguf) {
    FLOE_RETURN_IF_ERROR(OfVersion(WriteGgufOf(unfinished.path(), version, to), version));
  } else {
    FLOE_RETURN_IF_ERROR(unfinished.MoveTo(to));
  }
  if (session.json) {
    session.PrintJson({{gguf ? "file" : "folder", to}, {"version", ToJson(version)}});
  } else if (gguf) {
    session.out() << to.string() << " holds " << ShortVersion(version.name()) << " ("
                  << HumanBytes(static_cast<int64_t>(fs::file_size(to, error))) << ", GGUF)\n";
  } else {
    session.out() << to.string() << " holds " << ShortVersion(version.name()) << " ("
                  << version.files_size() + 1 << " files, Hugging Face layout)\n";
  }
  return absl::OkStatus();
}

struct ImportFlags {
  std::string folder;
  std::string model;
};

// Text must be cut as the model's makers cut it, so a tokenizer that cannot be read is refused now.
absl::Status CheckTokenizer(const model::HuggingFaceFolder& published, const std::string& folder) {
  const auto json = published.tokenizer_files().find("tokenizer.json");
  if (json == published.tokenizer_files().end()) {
    return absl::NotFoundError(absl::StrCat(
        folder, " has no tokenizer.json; save the model's fast tokenizer into it first"));
  }
  const auto tokenizer = floe::tokenizer::Tokenizer::Load(json->second);
  if (!tokenizer.ok()) {
    return absl::Status(tokenizer.status().code(),
                        absl::StrCat(folder, "/tokenizer.json: ", tokenizer.status().message()));
  }
  if ((*tokenizer)->vocab_size() <= published.blueprint().vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(folder, ": the tokenizer has ", (*tokenizer)->vocab_size(),
                   " tokens, but config.json's vocab_size is ", published.blueprint().vocab_size));
}

absl::Status Import(Session& session, const ImportFlags& flags) {
  const fs::path folder = session.folder / flags.folder;
  const std::string name =
      flags.model.empty() ? fs::path(folder / "").parent_path().filename().string() : flags.model;
  if (!IsResourceId(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name,
                     "' cannot name a model: an id is 1 to 63 of a-z 0-9 - _ . and starts with a "
                     "letter or digit; give --model"));
  }
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string parent, session.ResourceName("models", name));
  std::error_code error;
  absl::StatusOr<pb::ModelVersion> version;
  std::vector<std::string> left_out;
  if (fs::exists(folder / model::kManifestFile, error)) {
    version = PublishCheckpoint(session, *door, folder, parent);  // one of ours: the digest stays
  } else {
    FLOE_ASSIGN_OR_RETURN(const auto published, model::HuggingFaceFolder::Open(folder));
    FLOE_RETURN_IF_ERROR(CheckTokenizer(published, folder.string()));
    left_out = published.left_out();
    FLOE_ASSIGN_OR_RETURN(const ScratchFolder converted, ScratchFolder::InTemp("floe-import"));
    FLOE_RETURN_IF_ERROR(model::WriteCheckpoint(converted.path() / "checkpoint",
                                                {.blueprint = published.blueprint(),
                                                 .tensors = published.tensors(),
                                                 .tokenizer_files = published.tokenizer_files()})
                             .status());
    version = PublishCheckpoint(session, *door, converted.path() / "checkpoint", parent);
  }
  FLOE_RETURN_IF_ERROR(version.status());
  if (session.json) {
    session.PrintJson(ToJson(*version));
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("version", version->name());
  fields.Add("digest", absl::StrCat("sha256:", version->digest()));
  fields.Add("parameters", HumanCount(version->parameters()));
  if (!left_out.empty()) {
    fields.Add("left out", absl::StrCat(left_out.size(), " stored tensors that carry nothing, ",
                                        "such as ", left_out.front()));
  }
  session.out() << fields.Render();
  return absl::OkStatus();
}

}  // namespace

void AddModelFileCommands(CLI::App& models, CommandLine& line) {
  auto& exporting = line.Keep<ExportFlags>();
  CLI::App* command =
      AddCommand(models, "export", "Write a version as a Hugging Face folder or a GGUF file",
                 "  floe models export hamlet ./hamlet\n"
                 "  floe models export hamlet --format gguf hamlet.gguf     for llama.cpp");
  command->add_option("model", exporting.model, kModelReference)->required();
  command->add_option("to", exporting.to, "Where to; must not exist [MODEL-VERSION here]");
  command
      ->add_option(
          "--format", exporting.format,
          "hf: what transformers loads; gguf: what llama.cpp loads; floe: the folder as it "
          "is, also where only Floe can compute it")
      ->check(CLI::IsMember({"hf", "gguf", "floe"}))
      ->capture_default_str();
  line.OnRun(command, [&exporting](Session& session) { return Export(session, exporting); });

  auto& importing = line.Keep<ImportFlags>();
  command = AddCommand(
      models, "import", "Publish a Hugging Face folder as a version",
      "  floe models import ./Qwen3-0.6B --model qwen3-small\n"
      "  floe models import ./hamlet-3             a folder that `floe models export` wrote\n\n"
      "qwen3, llama, qwen2 and gpt2; one safetensors file or shards; F32, F16 or BF16.");
  command->add_option("folder", importing.folder, "config.json, weights and tokenizer.json")
      ->required();
  command->add_option("--model", importing.model, "The model to publish a version of [the folder]");
  line.OnRun(command, [&importing](Session& session) { return Import(session, importing); });
}

}  // namespace floe::cli
