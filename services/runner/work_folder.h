// The folder in which a job's attempts work, one after the other.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

namespace floe::runner {

// Holds the folder for this process: a lock of the system, which ends with the process however that
// ends. Movable.
class WorkFolder {
 public:
  // Makes `<work_dir>/<job_id>` when it is missing and locks it. ALREADY_EXISTS when another
  // process works in it.
  static absl::StatusOr<WorkFolder> Open(const std::filesystem::path& work_dir,
                                         const std::string& job_id);
  // The same, but waits until the other process has left; CANCELLED when a stop is requested.
  static absl::StatusOr<WorkFolder> OpenWhenFree(const std::filesystem::path& work_dir,
                                                 const std::string& job_id, std::stop_token stop);
  WorkFolder(WorkFolder&& other) noexcept;
  WorkFolder& operator=(WorkFolder&& other) noexcept;
  ~WorkFolder();

  const std::filesystem::path& path() const { return path_; }

  // Deletes the folder with all that is in it: nobody goes on with this job.
  absl::Status Remove();

 private:
  WorkFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace floe::runner
