#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe {
namespace {

absl::Status Failed(int error, const std::string& temporary) {
  return ErrnoStatus(error, absl::StrCat("cannot write ", temporary));
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::filesystem::path& stem) {
  std::string temporary = absl::StrCat(stem.string(), ".tmp-XXXXXX");
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return Failed(errno, temporary);
  return AtomicFile(fd, std::move(temporary));
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), temporary_(std::exchange(other.temporary_, {})) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

absl::Status AtomicFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(errno, temporary_);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Sync(unsigned mode) {
  if (::fchmod(fd_, mode) != 0 || ::fsync(fd_) != 0) return Failed(errno, temporary_);
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit(const std::filesystem::path& to) {
  if (!temporary_.empty()) {
    if (::rename(temporary_.c_str(), to.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary_, " to ", to.string()));
    }
    temporary_.clear();
  }
  const auto folder = to.parent_path();
  return SyncPath(folder.empty() ? std::filesystem::path(".") : folder);
}

}  // namespace floe
