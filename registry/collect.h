// Use case: blobs that no resource holds are removed, once they have been left alone for a while.
//
// Mark: what datasets, tokenizers and versions reference (in the index). Sweep: what nothing
// references and nobody sent within the grace; files that the index does not know; remains of
// broken uploads. The grace covers the time between sending a blob and publishing what it is for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

struct CollectOptions {
  absl::Duration grace = absl::Hours(24);
  bool dry_run = false;  // report what would go, remove nothing
};

struct CollectReport {
  std::vector<Blob> removed;  // or to be removed, in a dry run
  int64_t removed_bytes = 0;  // of those
  int64_t unfinished = 0;     // remains of uploads; not counted in a dry run
};

// Safe to run while the registry serves, in any number of processes. Borrows its parts.
class Collect {
 public:
  Collect(BlobStore& store, BlobIndex& index, const Clock& clock)
      : store_(store), index_(index), clock_(clock) {}

  absl::StatusOr<CollectReport> Run(const CollectOptions& options);

 private:
  absl::Status SweepBlob(const Blob& blob, absl::Time before, bool dry_run, CollectReport& report);
  absl::Status SweepIndex(absl::Time before, bool dry_run, CollectReport& report);
  absl::Status SweepFiles(absl::Time before, bool dry_run, CollectReport& report);

  BlobStore& store_;
  BlobIndex& index_;
  const Clock& clock_;
};

}  // namespace floe::registry
