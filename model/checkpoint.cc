#include "model/checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include <algorithm>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "base/file_reader.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::model {
namespace {

namespace fs = std::filesystem;

constexpr char kWeightsFile[] = "model.safetensors";
constexpr char kConfigFile[] = "config.json";
constexpr char kGenerationFile[] = "generation_config.json";
constexpr char kEndOfDocument[] = "<|endoftext|>";
constexpr uint64_t kMaxManifestFile = 1 << 20;
constexpr uint64_t kMaxTextFile = 256 << 20;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

using StoredTensors = std::map<std::string, TensorView>;

bool HasTypeOf(WeightFormat format, const TensorSpec& spec, DType dtype) {
  if (format == WeightFormat::kFloat) return dtype != DType::kI8;
  if (IsQuantized(spec))
    return dtype == (absl::EndsWith(spec.name, "_scale") ? DType::kF16 : DType::kI8);
  return dtype != DType::kI8;
}

// `tensors` must be exactly those of the blueprint in this format.
absl::Status CheckTensors(const Blueprint& blueprint, WeightFormat format,
                          const StoredTensors& tensors) {
  const std::vector<TensorSpec> specs = StoredTensorsOf(blueprint, format);
  for (const TensorSpec& spec : specs) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      return absl::InvalidArgumentError(absl::StrCat(kWeightsFile, ": the tensor ", spec.name,
                                                     " of ", ShapeText(spec.shape), " is missing"));
    }
    if (found->second.shape != spec.shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          kWeightsFile, ": the tensor ", spec.name, " is ", ShapeText(found->second.shape),
          ", but the blueprint makes it ", ShapeText(spec.shape)));
    }
    if (!HasTypeOf(format, spec, found->second.dtype)) {
      return absl::InvalidArgumentError(
          absl::StrCat(kWeightsFile, ": the tensor ", spec.name, " is ",
                       AbslView(DTypeName(found->second.dtype)), ", which weights in ",
                       AbslView(WeightFormatName(format)), " do not have there"));
    }
  }
  if (specs.size() == tensors.size()) return absl::OkStatus();
  StoredTensors extra = tensors;
  for (const TensorSpec& spec : specs) extra.erase(spec.name);
  return absl::InvalidArgumentError(absl::StrCat(kWeightsFile, ": the blueprint has no tensor \"",
                                                 extra.begin()->first.substr(0, 120), "\""));
}

absl::Status SameAsListed(const fs::path& path, const ManifestFileEntry& entry,
                          const FileDigest& found) {
  if (static_cast<uint64_t>(found.size) != entry.size) {
    return absl::DataLossError(absl::StrCat(path.string(), " has ", found.size,
                                            " bytes, but the manifest says ", entry.size,
                                            ": fetch the checkpoint again"));
  }
  if (found.sha256 != entry.digest) {
    return absl::DataLossError(absl::StrCat(path.string(), " has the SHA-256 ", found.sha256,
                                            ", but the manifest says ", entry.digest,
                                            ": fetch the checkpoint again"));
  }
  return absl::OkStatus();
}

// What is listed and not there is lost.
absl::Status Missing(const fs::path& path, const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::DataLossError(absl::StrCat(path.string(), " is missing, but the manifest lists it"));
}

// Other stacks go by config.json: it must describe the same model.
absl::Status CheckConfig(const Checkpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest();
  const fs::path& folder = checkpoint.folder();
  if (!manifest.files.contains(kConfigFile)) {
    return absl::InvalidArgumentError(
        absl::StrCat((folder / kManifestFile).string(), ": files has no ", kConfigFile));
  }
  FLOE_ASSIGN_OR_RETURN(const std::string json, checkpoint.File(kConfigFile));
  std::string same = json;  // only we write 8-bit weights
  if (manifest.weight_format == WeightFormat::kFloat) {
    FLOE_ASSIGN_OR_RETURN(const Blueprint described, ParseConfigJson(json));
    same = ConfigJson(described);
  }
  if (same != ConfigJson(manifest.blueprint, manifest.weight_format)) {
    return absl::InvalidArgumentError(
        absl::StrCat((folder / kConfigFile).string(),
                     " describes another model than the blueprint in ", kManifestFile));
  }
  return absl::OkStatus();
}

// The ids that end a text, where the tokenizer's files say them; stacks that serve the folder stop
// there.
nlohmann::ordered_json GenerationConfig(const std::map<std::string, std::string>& tokenizer_files) {
  nlohmann::ordered_json config = {{"_from_model_config", false}, {"do_sample", true}};
  const auto parsed = [&](const char* name) {
    const auto file = tokenizer_files.find(name);
    if (file == tokenizer_files.end()) return nlohmann::json();
    return nlohmann::json::parse(file->second, nullptr, /*allow_exceptions=*/false);
  };
  const nlohmann::json settings = parsed("tokenizer_config.json");
  const nlohmann::json tokenizer = parsed("tokenizer.json");
  if (!settings.is_object() || !tokenizer.is_object()) return config;
  const auto added = tokenizer.find("added_tokens");
  if (added == tokenizer.end() || !added->is_array()) return config;
  // A chat ends at its end of turn, a plain text where pre-training put the end of a document.
  nlohmann::ordered_json ids = nlohmann::ordered_json::array();
  for (const nlohmann::json& end :
       {settings.value("eos_token", nlohmann::json()), nlohmann::json(kEndOfDocument)}) {
    for (const nlohmann::json& token : *added) {
      if (!token.is_object() || !token.contains("id") || !end.is_string() ||
          token.value("content", nlohmann::json()) != end) {
        continue;
      }
      const nlohmann::ordered_json id = token["id"];
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
  }
  if (!ids.empty()) config["eos_token_id"] = ids.size() == 1 ? ids[0] : ids;
  return config;
}

absl::StatusOr<ManifestFileEntry> EntryOf(const fs::path& path) {
  FLOE_ASSIGN_OR_RETURN(const FileDigest file, DigestOf(path));
  return ManifestFileEntry{file.sha256, static_cast<uint64_t>(file.size)};
}

// Everything but the rename; `folder` exists and is empty.
absl::StatusOr<std::string> WriteInto(const fs::path& folder, const CheckpointContents& contents) {
  FLOE_RETURN_IF_ERROR(
      WriteSafetensors(folder / kWeightsFile, contents.tensors, {{"format", "pt"}}));
  std::map<std::string, std::string> texts = contents.tokenizer_files;
  texts[kConfigFile] = ConfigJson(contents.blueprint, contents.weight_format);
  texts[kGenerationFile] = GenerationConfig(contents.tokenizer_files).dump(2) + "\n";
  Manifest manifest{contents.blueprint, contents.parents, {}, contents.weight_format};
  for (const auto& [name, bytes] : texts) {
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(folder / name, bytes));
    manifest.files[name] = {Sha256::Hex(bytes), bytes.size()};
  }
  FLOE_ASSIGN_OR_RETURN(manifest.files[kWeightsFile], EntryOf(folder / kWeightsFile));
  const std::string canonical = manifest.Serialize();
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(folder / kManifestFile, canonical));
  return Sha256::Hex(canonical);
}

absl::Status CheckContents(const fs::path& folder, const CheckpointContents& contents) {
  FLOE_RETURN_IF_ERROR(contents.blueprint.Validate());
  StoredTensors tensors;
  for (const NamedTensor& named : contents.tensors) tensors[named.name] = named.tensor;
  FLOE_RETURN_IF_ERROR(CheckTensors(contents.blueprint, contents.weight_format, tensors));
  Manifest manifest{contents.blueprint, contents.parents, {}};
  for (const auto& [name, bytes] : contents.tokenizer_files) {
    if (name == kWeightsFile || name == kConfigFile || name == kGenerationFile) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " is written from the blueprint and cannot be a tokenizer file"));
    }
    manifest.files[name] = {Sha256::Hex(bytes), bytes.size()};
  }
  // Names and parents are refused here as a reader would refuse them.
  FLOE_RETURN_IF_ERROR(Manifest::Parse(manifest.Serialize()).status());
  std::error_code error;
  if (fs::exists(fs::symlink_status(folder, error))) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot write the checkpoint ", folder.string(), ": it exists"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Checkpoint> Checkpoint::Open(const fs::path& folder, bool verify) {
  FLOE_ASSIGN_OR_RETURN(const std::string json, ReadFile(folder / kManifestFile, kMaxManifestFile));
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  FLOE_ASSIGN_OR_RETURN(checkpoint.manifest_, Manifest::Parse(json));
  checkpoint.digest_ = Sha256::Hex(json);
  const auto entry = checkpoint.manifest_.files.find(kWeightsFile);
  if (entry == checkpoint.manifest_.files.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat((folder / kManifestFile).string(), ": files has no ", kWeightsFile));
  }
  absl::StatusOr<MappedFile> weights = MappedFile::Open(folder / kWeightsFile);
  if (!weights.ok()) return Missing(folder / kWeightsFile, weights.status());
  checkpoint.weights_ = *std::move(weights);
  if (verify) {
    FLOE_RETURN_IF_ERROR(checkpoint.Verify());
    FLOE_RETURN_IF_ERROR(CheckConfig(checkpoint));
  }
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensors(checkpoint.weights_);
  if (!header.ok()) {
    return absl::Status(header.status().code(), absl::StrCat((folder / kWeightsFile).string(), ": ",
                                                             header.status().message()));
  }
  checkpoint.header_ = *header;
  const absl::Status same =
      CheckTensors(checkpoint.blueprint(), checkpoint.weight_format(), checkpoint.header_.tensors);
  if (!same.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(folder.string(),
                                                   ": the weights are of another blueprint than ",
                                                   kManifestFile, " says: ", same.message()));
  }
  return checkpoint;
}

absl::Status Checkpoint::Verify() const {
  for (const auto& [name, entry] : manifest_.files) {
    const fs::path path = folder_ / name;
    FileDigest found;
    if (name == kWeightsFile) {
      FLOE_ASSIGN_OR_RETURN(found.sha256, weights_.Digest());
      found.size = static_cast<int64_t>(weights_.bytes().size());
    } else {
      const absl::StatusOr<FileDigest> read = DigestOf(path);
      if (!read.ok()) return Missing(path, read.status());
      found = *read;
    }
    FLOE_RETURN_IF_ERROR(SameAsListed(path, entry, found));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Checkpoint::File(const std::string& name) const {
  const auto entry = manifest_.files.find(name);
  if (entry == manifest_.files.end()) {
    return absl::NotFoundError(absl::StrCat("the checkpoint ", folder_.string(), " has no ", name));
  }
  absl::StatusOr<std::string> bytes = ReadFile(folder_ / name, kMaxTextFile);
  if (!bytes.ok()) return Missing(folder_ / name, bytes.status());
  FLOE_RETURN_IF_ERROR(SameAsListed(folder_ / name, entry->second,
                                    {Sha256::Hex(*bytes), static_cast<int64_t>(bytes->size())}));
  return bytes;
}

absl::StatusOr<std::vector<float>> Checkpoint::Floats(const TensorView& view) const {
  std::string bytes(view.bytes.size(), '\0');
  FLOE_RETURN_IF_ERROR(Read(view.bytes, bytes.data()));
  return TensorView{view.dtype, view.shape, bytes}.ToFloats();
}

absl::StatusOr<TensorView> Checkpoint::Tensor(std::string_view name) const {
  const auto found = header_.tensors.find(std::string(name));
  if (found == header_.tensors.end()) {
    return absl::NotFoundError(
        absl::StrCat("the checkpoint ", folder_.string(), " has no tensor ", AbslView(name)));
  }
  return found->second;
}

absl::StatusOr<std::string> WriteCheckpoint(const fs::path& wanted,
                                            const CheckpointContents& contents) {
  // A trailing slash would put the temporary folder inside the one that must not exist.
  const fs::path folder = wanted.has_filename() ? wanted : wanted.parent_path();
  FLOE_RETURN_IF_ERROR(CheckContents(folder, contents));
  std::string temporary = absl::StrCat(folder.string(), ".tmp-XXXXXX");
  if (::mkdtemp(temporary.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("cannot create a folder beside ", folder.string()));
  }
  absl::StatusOr<std::string> digest = WriteInto(temporary, contents);
  std::error_code error;
  if (digest.ok()) {
    fs::permissions(temporary, fs::perms(0755), error);
    fs::rename(temporary, folder, error);
    if (error) {
      digest = ErrnoStatus(error.value(), absl::StrCat("cannot create ", folder.string()));
    }
  }
  if (!digest.ok()) {
    fs::remove_all(temporary, error);
    return digest;
  }
  const fs::path parent = folder.parent_path();
  FLOE_RETURN_IF_ERROR(SyncPath(parent.empty() ? fs::path(".") : parent));
  return digest;
}

}  // namespace floe::model
