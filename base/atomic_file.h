// A file written piece by piece that appears under its name whole, or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe {

// Movable, not thread-safe. What was not committed is removed by the destructor; a crash leaves the
// temporary file, whose name starts with `<stem>.tmp-`.
class AtomicFile {
 public:
  // Makes `<stem>.tmp-XXXXXX`. It must be on the file system of the path that Commit() is given.
  static absl::StatusOr<AtomicFile> Create(const std::filesystem::path& stem);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Append(std::string_view bytes);

  // Gives the file `mode` (0600 otherwise) and makes its bytes durable.
  absl::Status Sync(unsigned mode = 0600);

  // Renames it over `to` and makes the name durable. Needs Sync() before. Nothing happens when it
  // has been committed already, so a transaction may be repeated.
  absl::Status Commit(const std::filesystem::path& to);

 private:
  AtomicFile(int fd, std::string temporary) : fd_(fd), temporary_(std::move(temporary)) {}

  int fd_;
  std::string temporary_;  // empty: committed or moved from
};

}  // namespace floe
