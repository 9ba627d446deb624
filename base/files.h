// Files that are never half-written, and files read without copying.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe {

// The whole file. NOT_FOUND, PERMISSION_DENIED or UNAVAILABLE name the path; RESOURCE_EXHAUSTED
// when it is longer than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                                     uint64_t max_bytes = uint64_t{1} << 40);

// Writes a temporary file beside `path`, fsyncs it, renames it over `path` and fsyncs the folder: a
// reader sees the old bytes or the new, also after a crash. A full disk is RESOURCE_EXHAUSTED, and
// the old file stays.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// fsyncs one file or folder.
absl::Status SyncPath(const std::filesystem::path& path);

// errno as a Status that names what was being done.
absl::Status ErrnoStatus(int error, std::string_view what);

// By which a write to an open file is noticed. Times in nanoseconds.
struct FileStamp {
  int64_t size = 0;
  int64_t bytes_changed = 0;
  int64_t inode_changed = 0;
  int64_t names = 0;
};

// A file mapped read-only. Movable; the bytes live as long as the object. Thread-safe to read. Who
// looks at bytes of a file that was cut short since it was opened is ended by SIGBUS: a server
// looks at none, and copies them by Read.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }
  // Copies `part`, which lies within bytes(), to `to`. DATA_LOSS names the file and says what to do
  // where it was cut short since it was opened.
  absl::Status Read(std::string_view part, char* to) const;
  // SHA-256 of the file, read piece by piece; DATA_LOSS as above.
  absl::StatusOr<std::string> Digest() const;
  // UNAVAILABLE when somebody wrote to the file since it was opened (its times or its size say so):
  // what was read before and what was read later need not belong together. A file that was put in
  // its place under the same name is another one and does not count.
  absl::Status CheckUnchanged() const;
  // Gives back the memory of what was read; it is read again when looked at. For files that are
  // gone through once and may be larger than the memory.
  void DropPages() const;

 private:
  std::string path_;
  int file_ = -1;
  FileStamp stamp_;  // when it was opened
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace floe
