// A folder for what is unfinished or in passing.
#pragma once

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe {

// Gone with everything in it when the object goes. Movable; not thread-safe.
class ScratchFolder {
 public:
  // At `path`, in the place of what may be left there. Errors of the file system.
  static absl::StatusOr<ScratchFolder> At(const std::filesystem::path& path);
  // A new one beside the system's other temporary files, with `name` in its name.
  static absl::StatusOr<ScratchFolder> InTemp(std::string_view name);

  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::filesystem::path& path() const { return path_; }
  // Finished: renamed to `to`, where it stays. On an error it is still here.
  absl::Status MoveTo(const std::filesystem::path& to);

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty: nothing to remove
};

}  // namespace floe
