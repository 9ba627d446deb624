// A file read piece by piece, for those too large to hold in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe {

// Movable. ReadAt is thread-safe.
class FileReader {
 public:
  // NOT_FOUND, PERMISSION_DENIED or UNAVAILABLE name the path; INVALID_ARGUMENT when it is not a
  // regular file.
  static absl::StatusOr<FileReader> Open(const std::filesystem::path& path);
  FileReader(FileReader&& other) noexcept;
  FileReader& operator=(FileReader&&) = delete;
  ~FileReader();

  // When it was opened.
  int64_t size() const { return size_; }

  // Replaces `piece` by the up to `max_bytes` bytes at `offset`; it is empty only at the end.
  absl::Status ReadAt(int64_t offset, size_t max_bytes, std::string& piece) const;

 private:
  FileReader(int fd, int64_t size, std::filesystem::path path)
      : fd_(fd), size_(size), path_(std::move(path)) {}

  int fd_;
  int64_t size_;
  std::filesystem::path path_;  // for messages
};

// SHA-256 of the whole file, and how many bytes it has.
struct FileDigest {
  std::string sha256;
  int64_t size = 0;
};
absl::StatusOr<FileDigest> DigestOf(const FileReader& file);
absl::StatusOr<FileDigest> DigestOf(const std::filesystem::path& path);

}  // namespace floe
