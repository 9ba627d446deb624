#include "base/file_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe {

absl::StatusOr<FileReader> FileReader::Open(const std::filesystem::path& path) {
  const std::string what = absl::StrCat("cannot read ", path.string());
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, what);
  FileReader reader(fd, 0, path);
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, what);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": not a regular file"));
  }
  reader.size_ = info.st_size;
  return reader;
}

FileReader::FileReader(FileReader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), path_(std::move(other.path_)) {}

FileReader::~FileReader() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status FileReader::ReadAt(int64_t offset, size_t max_bytes, std::string& piece) const {
  piece.resize(max_bytes);
  size_t filled = 0;
  while (filled < max_bytes) {
    const ssize_t n = ::pread(fd_, piece.data() + filled, max_bytes - filled,
                              offset + static_cast<int64_t>(filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path_.string()));
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  piece.resize(filled);
  return absl::OkStatus();
}

absl::StatusOr<FileDigest> DigestOf(const FileReader& file) {
  FileDigest digest;
  Sha256 hasher;
  std::string piece;
  do {
    FLOE_RETURN_IF_ERROR(file.ReadAt(digest.size, 1 << 20, piece));
    hasher.Update(piece);
    digest.size += static_cast<int64_t>(piece.size());
  } while (!piece.empty());
  digest.sha256 = hasher.FinishHex();
  return digest;
}

absl::StatusOr<FileDigest> DigestOf(const std::filesystem::path& path) {
  FLOE_ASSIGN_OR_RETURN(const FileReader file, FileReader::Open(path));
  return DigestOf(file);
}

}  // namespace floe
