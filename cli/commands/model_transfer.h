// Checkpoints between this machine and the registry.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/door/session.h"

namespace floe::cli {

// Writes the files of a version and its manifest into `folder`, which exists; what arrives is
// compared with its digest. Shows its progress.
absl::Status DownloadVersion(Session& session, Door& door,
                             const registry::v1::ModelVersion& version,
                             const std::filesystem::path& folder);

// Makes the checkpoint in `folder` a version of the model `parent` (a resource name); the digest
// stays. Shows its progress.
absl::StatusOr<registry::v1::ModelVersion> PublishCheckpoint(Session& session, Door& door,
                                                             const std::filesystem::path& folder,
                                                             const std::string& parent);

}  // namespace floe::cli
