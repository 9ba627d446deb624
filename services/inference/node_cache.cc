#include "services/inference/node_cache.h"

#include <unistd.h>

#include <system_error>

#include "absl/strings/str_cat.h"

#include "base/file_reader.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/checkpoint.h"

namespace floe::inference {
namespace {

constexpr uint64_t kMaxManifestBytes = 16 << 20;

absl::Status VerifyFile(const std::filesystem::path& path, std::string_view digest) {
  const absl::StatusOr<FileDigest> file = DigestOf(path);
  if (!file.ok()) {
    return absl::DataLossError(
        absl::StrCat(path.string(), " is missing or cannot be read: ", file.status().message()));
  }
  if (file->sha256 == digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path.string(), " has SHA-256 ", file->sha256,
                                          " instead of ", AbslView(digest),
                                          ": its bytes changed; restore the blob from a backup"));
}

}  // namespace

absl::Status VerifyCheckpointFolder(const std::filesystem::path& folder, std::string_view digest) {
  FLOE_RETURN_IF_ERROR(VerifyFile(folder / model::kManifestFile, digest));
  FLOE_ASSIGN_OR_RETURN(const std::string json,
                        ReadFile(folder / model::kManifestFile, kMaxManifestBytes));
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(json));
  for (const auto& [name, entry] : manifest.files) {
    FLOE_RETURN_IF_ERROR(VerifyFile(folder / name, entry.digest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::filesystem::path> NodeCache::Fetch(std::string_view digest) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", AbslView(digest.substr(0, 80)),
        "\" is no checkpoint digest; give the 64 hexadecimal characters of the version"));
  }
  const std::lock_guard lock(mutex_);
  const std::filesystem::path folder = folder_ / digest;
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    if (VerifyCheckpointFolder(folder, digest).ok()) return folder;
    std::filesystem::remove_all(folder, error);
  }
  const std::filesystem::path making = folder_ / absl::StrCat(AbslView(digest), ".", getpid());
  std::filesystem::remove_all(making, error);
  if (!std::filesystem::create_directories(making, error)) {
    return absl::UnavailableError(absl::StrCat("cannot make ", making.string(), ": ",
                                               error.message(), "; check --cache-dir"));
  }
  absl::Status status = Assemble(digest, making);
  if (status.ok()) {
    std::filesystem::rename(making, folder, error);
    if (error) {
      status = absl::UnavailableError(absl::StrCat("cannot rename ", making.string(), " to ",
                                                   folder.string(), ": ", error.message()));
    }
  }
  if (!status.ok()) {
    std::filesystem::remove_all(making, error);
    return status;
  }
  return folder;
}

std::optional<std::filesystem::path> NodeCache::Kept(std::string_view digest) {
  if (!IsSha256Hex(digest)) return std::nullopt;
  const std::filesystem::path folder = folder_ / digest;
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return std::nullopt;
  return folder;
}

absl::Status NodeCache::Assemble(std::string_view digest, const std::filesystem::path& folder) {
  const std::filesystem::path manifest_path = folder / model::kManifestFile;
  FLOE_RETURN_IF_ERROR(blobs_->Fetch(digest, manifest_path));
  FLOE_RETURN_IF_ERROR(VerifyFile(manifest_path, digest));
  FLOE_ASSIGN_OR_RETURN(const std::string json, ReadFile(manifest_path, kMaxManifestBytes));
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(json));
  for (const auto& [name, entry] : manifest.files) {
    FLOE_RETURN_IF_ERROR(blobs_->Fetch(entry.digest, folder / name));
    FLOE_RETURN_IF_ERROR(VerifyFile(folder / name, entry.digest));
  }
  return SyncPath(folder);
}

}  // namespace floe::inference
