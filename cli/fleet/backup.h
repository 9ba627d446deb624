// A fleet on this machine into a folder, and back: Postgres, blobs, journals, the admin key and the
// policy. Certificates, caches and work folders are made anew.
//
//   backup.json   what is here: format, time, and SHA-256 and size of every file but the blobs
//   floe.dump     pg_dump's custom format, one consistent snapshot
//   blobs/        content-addressed: a file's name is its digest
//   journals/     records that billing had not acknowledged
//   admin.key  policy.yaml
//
// Order makes it whole: journals are copied before the snapshot, so a record that leaves the
// journal meanwhile is in the snapshot already (and counted once, by its id); blobs after it, so
// that every blob which the snapshot names is there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

struct BackupReport {
  int64_t blobs = 0;
  int64_t blob_bytes = 0;
  int64_t database_bytes = 0;
  int64_t journal_files = 0;
};

using Tell = std::function<void(const std::string&)>;

// Of a running fleet, which goes on meanwhile. `folder` must not exist; it appears whole or not at
// all. DATA_LOSS when a blob's bytes are not those of its name: the backup is refused, since it
// would keep the damage for a copy.
absl::StatusOr<BackupReport> BackupFleet(const Layout& layout, const std::filesystem::path& folder,
                                         const Tell& tell);

// Into an empty fleet folder. Everything is compared with its digest first; DATA_LOSS names what
// differs. `floe up` starts it afterwards. A restore that was cut off leaves a folder that FleetUp
// refuses.
absl::StatusOr<BackupReport> RestoreFleet(const std::filesystem::path& folder, const Layout& layout,
                                          const Tell& tell);

}  // namespace floe::cli
