#include "cli/commands/model_transfer.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands/model_reference.h"
#include "cli/door/blobs.h"
#include "cli/output/transfer_meter.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"

namespace floe::cli {

namespace pb = registry::v1;
namespace fs = std::filesystem;

absl::Status DownloadVersion(Session& session, Door& door, const pb::ModelVersion& version,
                             const fs::path& folder) {
  int64_t total = 0;
  for (const auto& file : version.files()) total += file.size_bytes();
  TransferMeter meter(session.err(), session.streams.err_is_terminal && !session.json,
                      absl::StrCat("fetching ", ShortVersion(version.name())), total);
  absl::Status status;
  for (const auto& file : version.files()) {
    // A file's name comes from a manifest, which anyone may have written.
    if (file.name().empty() || file.name().find('/') != std::string::npos ||
        file.name()[0] == '.') {
      return absl::DataLossError(absl::StrCat("the manifest names a file '", file.name(), "'"));
    }
    status = DownloadBlob(door, file.digest(), folder / file.name(),
                          [&](int64_t bytes) { meter.Add(bytes, absl::Now()); });
    if (!status.ok()) break;
  }
  meter.Finish();
  FLOE_RETURN_IF_ERROR(status);
  return WriteFileAtomically(folder / model::kManifestFile, version.manifest());
}

absl::StatusOr<pb::ModelVersion> PublishCheckpoint(Session& session, Door& door,
                                                   const fs::path& folder,
                                                   const std::string& parent) {
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint, model::Checkpoint::Open(folder));
  int64_t total = 0;
  for (const auto& [name, entry] : checkpoint.manifest().files) {
    total += static_cast<int64_t>(entry.size);
  }
  TransferMeter meter(session.err(), session.streams.err_is_terminal && !session.json, "uploading",
                      total);
  for (const auto& [name, entry] : checkpoint.manifest().files) {
    FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(folder / name));
    const auto sent = UploadBlob(door, entry.digest, file.bytes(),
                                 [&](int64_t bytes) { meter.Add(bytes, absl::Now()); });
    if (!sent.ok()) {
      meter.Finish();
      return sent.status();
    }
  }
  meter.Finish();
  pb::CreateModelVersionRequest request;
  request.set_parent(parent);
  request.set_request_id(NewRequestId());
  request.mutable_model_version()->set_manifest(checkpoint.manifest().Serialize());
  return door.Ask(door.registry(), &pb::RegistryService::Stub::CreateModelVersion, request);
}

}  // namespace floe::cli
