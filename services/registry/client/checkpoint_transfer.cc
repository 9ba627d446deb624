#include "services/registry/client/checkpoint_transfer.h"

#include <unistd.h>

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"

namespace floe::registry {
namespace {

constexpr uint64_t kMaxManifestBytes = 16 << 20;

int64_t TotalBytes(const model::Manifest& manifest) {
  uint64_t total = 0;
  for (const auto& [name, entry] : manifest.files) total += entry.size;
  return static_cast<int64_t>(total);
}

// The progress of one file as progress of the whole.
RegistryClient::Progress After(int64_t before, int64_t total,
                               const RegistryClient::Progress& progress) {
  if (progress == nullptr) return nullptr;
  return [=, &progress](int64_t done, int64_t) { progress(before + done, total); };
}

absl::Status DownloadFiles(RegistryClient& registry, const runtime::OutgoingCall& call,
                           const model::Manifest& manifest, const std::filesystem::path& folder,
                           const RegistryClient::Progress& progress) {
  const int64_t total = TotalBytes(manifest);
  int64_t done = 0;
  for (const auto& [name, entry] : manifest.files) {
    FLOE_RETURN_IF_ERROR(
        registry.DownloadFile(call, entry.digest, folder / name, After(done, total, progress)));
    done += static_cast<int64_t>(entry.size);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::ModelVersion> PublishCheckpoint(RegistryClient& registry,
                                                   const runtime::OutgoingCall& call,
                                                   const std::string& parent,
                                                   const std::filesystem::path& folder,
                                                   const Evidence& evidence,
                                                   const RegistryClient::Progress& progress) {
  FLOE_ASSIGN_OR_RETURN(const std::string json,
                        ReadFile(folder / model::kManifestFile, kMaxManifestBytes));
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(json));
  const int64_t total = TotalBytes(manifest);
  int64_t done = 0;
  for (const auto& [name, entry] : manifest.files) {
    FLOE_ASSIGN_OR_RETURN(const v1::Blob blob,
                          registry.UploadFile(call, folder / name, After(done, total, progress)));
    if (blob.digest() != entry.digest) {
      return absl::DataLossError(absl::StrCat((folder / name).string(), " has SHA-256 ",
                                              blob.digest(), ", floe.json says ", entry.digest,
                                              "; the checkpoint was changed after it was written"));
    }
    done += blob.size_bytes();
  }
  v1::CreateModelVersionRequest request;
  request.set_parent(parent);
  request.set_request_id(evidence.request_id);
  request.mutable_model_version()->set_manifest(json);
  request.mutable_model_version()->mutable_lineage()->set_job(evidence.job);
  for (const auto& [name, value] : evidence.metrics) {
    (*request.mutable_model_version()->mutable_metrics())[name] = value;
  }
  return registry.CreateModelVersion(call, std::move(request));
}

absl::Status DownloadCheckpoint(RegistryClient& registry, const runtime::OutgoingCall& call,
                                const v1::ModelVersion& version,
                                const std::filesystem::path& folder,
                                const RegistryClient::Progress& progress) {
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder.string(), " exists already; give a folder that does not"));
  }
  if (Sha256::Hex(version.manifest()) != version.digest()) {
    return absl::DataLossError(
        absl::StrCat("the manifest of ", version.name(), " is not the one its digest names"));
  }
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(version.manifest()));
  const std::filesystem::path making =
      absl::StrCat(folder.string(), ".tmp-", static_cast<int>(::getpid()));
  std::filesystem::remove_all(making, error);
  if (!std::filesystem::create_directories(making, error)) {
    return absl::UnavailableError(
        absl::StrCat("cannot make the folder ", making.string(), ": ", error.message()));
  }
  absl::Status status = DownloadFiles(registry, call, manifest, making, progress);
  if (status.ok()) {
    status = WriteFileAtomically(making / model::kManifestFile, version.manifest());
  }
  if (status.ok()) {
    std::filesystem::rename(making, folder, error);
    if (error) {
      status = absl::UnavailableError(absl::StrCat("cannot rename ", making.string(), " to ",
                                                   folder.string(), ": ", error.message()));
    }
  }
  if (!status.ok()) std::filesystem::remove_all(making, error);
  return status;
}

}  // namespace floe::registry
