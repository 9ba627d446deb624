#include "registry/collect.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::registry {
namespace {

constexpr int kBatch = 500;
// A client that repeats a change does so within minutes.
constexpr absl::Duration kKeepRequests = absl::Hours(24 * 7);

}  // namespace

absl::StatusOr<CollectReport> Collect::Run(const CollectOptions& options) {
  if (options.grace < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the grace is ", absl::FormatDuration(options.grace), "; it must not be negative"));
  }
  CollectReport report;
  const absl::Time now = clock_.Now();
  const absl::Time before = now - options.grace;
  FLOE_RETURN_IF_ERROR(SweepIndex(before, options.dry_run, report));
  FLOE_RETURN_IF_ERROR(SweepFiles(before, options.dry_run, report));
  if (options.dry_run) return report;
  FLOE_ASSIGN_OR_RETURN(report.unfinished, store_.RemoveUnfinished(before));
  FLOE_RETURN_IF_ERROR(index_.ForgetRequests(now - kKeepRequests));
  return report;
}

absl::Status Collect::SweepBlob(const Blob& blob, absl::Time before, bool dry_run,
                                CollectReport& report) {
  bool gone = dry_run;
  if (!dry_run) {
    FLOE_ASSIGN_OR_RETURN(
        gone, index_.Forget(blob.digest, before, [&] { return store_.Remove(blob.digest); }));
  }
  if (!gone) return absl::OkStatus();
  report.removed_bytes += blob.size_bytes;
  report.removed.push_back(blob);
  return absl::OkStatus();
}

absl::Status Collect::SweepIndex(absl::Time before, bool dry_run, CollectReport& report) {
  std::string after;
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const auto blobs, index_.Unreferenced(before, after, kBatch));
    if (blobs.empty()) return absl::OkStatus();
    for (const Blob& blob : blobs) {
      FLOE_RETURN_IF_ERROR(SweepBlob(blob, before, dry_run, report));
    }
    after = blobs.back().digest;
  }
}

absl::Status Collect::SweepFiles(absl::Time before, bool dry_run, CollectReport& report) {
  return store_.ForEach([&](const Blob& blob, absl::Time placed) -> absl::Status {
    if (placed >= before) return absl::OkStatus();
    const auto entry = index_.Find("", blob.digest);
    if (entry.ok()) return absl::OkStatus();
    if (!absl::IsNotFound(entry.status())) return entry.status();
    return SweepBlob(blob, before, dry_run, report);
  });
}

}  // namespace floe::registry
