#include "registry/blobs/folder_store.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/atomic_file.h"
#include "base/error_reason.h"
#include "base/file_reader.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "registry/blobs/layout.h"

namespace floe::registry {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = 1 << 20;
constexpr unsigned kReadOnly = 0444;  // other users of the machine read it, nobody writes it
constexpr char kUploads[] = "uploads";

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat("cannot make the folder ", folder.string(),
                                                 "; check --blob-dir"));
}

absl::Status Damaged(const Blob& blob, std::string_view why) {
  return WithReason(
      absl::DataLossError(absl::StrCat("blob ", blob.digest, " ", AbslView(why),
                                       ": its bytes changed on disk; upload it again, or restore "
                                       "it from a backup")),
      "BLOB_DAMAGED", {{"digest", blob.digest}});
}

// A full disk with what to do about it.
absl::Status Explained(absl::Status status) {
  if (!absl::IsResourceExhausted(status)) return status;
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        status.message(),
                        "; the disk of --blob-dir is full: make room, or delete versions and run "
                        "floe-registry --collect")),
                    "BLOB_DISK_FULL");
}

class FolderWriter final : public BlobWriter {
 public:
  FolderWriter(fs::path folder, AtomicFile file)
      : folder_(std::move(folder)), file_(std::move(file)) {}

  absl::Status Append(std::string_view bytes) override {
    hasher_.Update(bytes);
    size_ += static_cast<int64_t>(bytes.size());
    return Explained(file_.Append(bytes));
  }

  absl::StatusOr<Blob> Seal() override {
    FLOE_RETURN_IF_ERROR(Explained(file_.Sync(kReadOnly)));
    digest_ = hasher_.FinishHex();
    return Blob{digest_, size_};
  }

  absl::Status Place() override {
    const fs::path path = BlobPath(folder_, digest_);
    FLOE_RETURN_IF_ERROR(MakeFolder(path.parent_path()));
    FLOE_RETURN_IF_ERROR(file_.Commit(path));
    return SyncPath(path.parent_path().parent_path());
  }

 private:
  const fs::path folder_;
  AtomicFile file_;
  Sha256 hasher_;
  int64_t size_ = 0;
  std::string digest_;
};

// Calls `visit` with every regular file below `folder`; nothing when there is no such folder.
absl::Status VisitFiles(
    const fs::path& folder,
    absl::FunctionRef<absl::Status(const fs::path&, const struct stat&)> visit) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    struct stat info;
    // What another process has just removed is no longer there to visit.
    if (::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    FLOE_RETURN_IF_ERROR(visit(entry->path(), info));
  }
  if (!error || error.value() == ENOENT) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat("cannot list ", folder.string()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FolderStore>> FolderStore::Open(fs::path folder) {
  if (folder.empty()) {
    return absl::InvalidArgumentError("the folder of blobs is not set; give --blob-dir");
  }
  FLOE_RETURN_IF_ERROR(MakeFolder(folder / kUploads));
  FLOE_RETURN_IF_ERROR(MakeFolder(folder / "sha256"));
  if (::access((folder / kUploads).c_str(), W_OK) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write to ", folder.string(),
                                           "; check --blob-dir and its owner"));
  }
  return std::unique_ptr<FolderStore>(new FolderStore(std::move(folder)));
}

absl::StatusOr<std::unique_ptr<BlobWriter>> FolderStore::Begin() {
  auto file = AtomicFile::Create(folder_ / kUploads / "blob");
  if (!file.ok()) return Explained(file.status());
  return std::make_unique<FolderWriter>(folder_, *std::move(file));
}

absl::StatusOr<int64_t> FolderStore::Size(std::string_view digest) {
  const fs::path path = BlobPath(folder_, digest);
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot see ", path.string()));
  }
  return info.st_size;
}

absl::Status FolderStore::Read(const Blob& blob, int64_t offset, Sink sink) {
  const auto file = FileReader::Open(BlobPath(folder_, blob.digest));
  if (absl::IsNotFound(file.status())) return Damaged(blob, "has no file any more");
  FLOE_RETURN_IF_ERROR(file.status());
  if (file->size() != blob.size_bytes) {
    return Damaged(blob, absl::StrCat("has ", file->size(), " bytes instead of ", blob.size_bytes));
  }
  Sha256 hasher;
  std::string held;  // from `offset` on, read but not given yet
  std::string piece;
  for (int64_t at = 0; at < blob.size_bytes;) {
    FLOE_RETURN_IF_ERROR(file->ReadAt(at, kPieceBytes, piece));
    if (piece.empty()) return Damaged(blob, "became shorter while it was read");
    hasher.Update(piece);
    const int64_t end = at + static_cast<int64_t>(piece.size());
    if (end > offset) {
      if (!held.empty()) FLOE_RETURN_IF_ERROR(sink(held));
      if (at < offset) piece.erase(0, static_cast<size_t>(offset - at));
      held.swap(piece);
    }
    at = end;
  }
  const std::string actual = hasher.FinishHex();
  if (actual != blob.digest) return Damaged(blob, absl::StrCat("has SHA-256 ", actual));
  return held.empty() ? absl::OkStatus() : sink(held);
}

absl::Status FolderStore::Remove(std::string_view digest) {
  const fs::path path = BlobPath(folder_, digest);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot remove ", path.string()));
}

absl::Status FolderStore::ForEach(
    absl::FunctionRef<absl::Status(const Blob& blob, absl::Time placed)> visit) {
  return VisitFiles(folder_ / "sha256",
                    [&](const fs::path& path, const struct stat& info) -> absl::Status {
                      const std::string name = path.filename().string();
                      if (!IsSha256Hex(name)) return absl::OkStatus();
                      return visit({name, info.st_size}, absl::TimeFromTimespec(info.st_mtim));
                    });
}

absl::StatusOr<int64_t> FolderStore::RemoveUnfinished(absl::Time before) {
  int64_t removed = 0;
  FLOE_RETURN_IF_ERROR(VisitFiles(
      folder_ / kUploads, [&](const fs::path& path, const struct stat& info) -> absl::Status {
        if (absl::TimeFromTimespec(info.st_mtim) >= before) return absl::OkStatus();
        if (::unlink(path.c_str()) == 0) ++removed;
        return absl::OkStatus();
      }));
  return removed;
}

}  // namespace floe::registry
