#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

int64_t Nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

FileStamp StampOf(const struct stat& info) {
  return {.size = info.st_size,
          .bytes_changed = Nanoseconds(info.st_mtim),
          .inode_changed = Nanoseconds(info.st_ctim),
          .names = static_cast<int64_t>(info.st_nlink)};
}

bool WasWrittenTo(const FileStamp& before, const FileStamp& now) {
  if (now.size != before.size || now.bytes_changed != before.bytes_changed) return true;
  // A name that came or went, as when another file is put in its place, changes the inode too.
  return now.inode_changed != before.inode_changed && now.names == before.names;
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string message = absl::StrCat(AbslView(what), ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t max_bytes) {
  const std::string what = absl::StrCat("cannot read ", path.string());
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return ErrnoStatus(errno, what);
  std::string bytes;
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, what);
    if (n == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ": longer than the limit of ", max_bytes, " bytes"));
    }
    bytes.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status SyncPath(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot sync ", path.string()));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  FLOE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  FLOE_RETURN_IF_ERROR(file.Append(bytes));
  FLOE_RETURN_IF_ERROR(file.Sync());
  return file.Commit(path);
}

absl::StatusOr<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const std::string what = absl::StrCat("cannot map ", path.string());
  MappedFile mapped;
  mapped.path_ = path.string();
  mapped.file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (mapped.file_ < 0) return ErrnoStatus(errno, what);
  struct stat info;
  if (::fstat(mapped.file_, &info) != 0) return ErrnoStatus(errno, what);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": not a regular file"));
  }
  mapped.stamp_ = StampOf(info);
  if (info.st_size == 0) return mapped;
  void* data = ::mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, mapped.file_, 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, what);
  mapped.data_ = static_cast<const char*>(data);
  mapped.size_ = static_cast<size_t>(info.st_size);
  return mapped;
}

absl::Status MappedFile::Read(std::string_view part, char* to) const {
  auto offset = static_cast<off_t>(part.data() - data_);
  for (size_t left = part.size(); left > 0;) {
    const ssize_t n = ::pread(file_, to, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path_));
    if (n == 0) {
      return absl::DataLossError(absl::StrCat(path_, " was cut short while it was in use: it had ",
                                              size_, " bytes and has ", offset,
                                              "; bring it back from a copy"));
    }
    to += n;
    offset += n;
    left -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MappedFile::Digest() const {
  Sha256 hasher;
  std::string piece;
  for (size_t at = 0; at < size_; at += piece.size()) {
    const std::string_view part = bytes().substr(at, 1 << 20);
    piece.resize(part.size());
    FLOE_RETURN_IF_ERROR(Read(part, piece.data()));
    hasher.Update(piece);
  }
  return hasher.FinishHex();
}

absl::Status MappedFile::CheckUnchanged() const {
  struct stat info;
  if (::fstat(file_, &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot look at ", path_));
  if (!WasWrittenTo(stamp_, StampOf(info))) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(path_,
                   " was written to while it was read; put files in their place by renaming "
                   "them, and try again"));
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(stamp_, other.stamp_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::DropPages() const {
  if (data_ != nullptr) ::madvise(const_cast<char*>(data_), size_, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
  if (file_ >= 0) ::close(file_);
}

}  // namespace floe
