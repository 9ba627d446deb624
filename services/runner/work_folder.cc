#include "services/runner/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/resource_name.h"

namespace floe::runner {
namespace {

constexpr char kLockFile[] = ".lock";
constexpr std::chrono::milliseconds kLook(100);

}  // namespace

absl::StatusOr<WorkFolder> WorkFolder::Open(const std::filesystem::path& work_dir,
                                            const std::string& job_id) {
  if (!IsResourceId(job_id)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", job_id, "\" is no job id"));
  }
  std::filesystem::path path = work_dir / job_id;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make ", path.string()));
  const std::filesystem::path file = path / kLockFile;
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return ErrnoStatus(errno, absl::StrCat("cannot open ", file.string()));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    ::close(lock);
    if (why == EWOULDBLOCK) {
      return absl::AlreadyExistsError(
          absl::StrCat("another process works in ", path.string(), "; wait for its end"));
    }
    return ErrnoStatus(why, absl::StrCat("cannot lock ", file.string()));
  }
  return WorkFolder(std::move(path), lock);
}

absl::StatusOr<WorkFolder> WorkFolder::OpenWhenFree(const std::filesystem::path& work_dir,
                                                    const std::string& job_id,
                                                    std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (true) {
    absl::StatusOr<WorkFolder> folder = Open(work_dir, job_id);
    if (!absl::IsAlreadyExists(folder.status())) return folder;
    wake.wait_for(lock, stop, kLook, [] { return false; });
    if (stop.stop_requested()) {
      return absl::CancelledError("asked to stop before the folder was free");
    }
  }
}

WorkFolder::WorkFolder(WorkFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

WorkFolder& WorkFolder::operator=(WorkFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

WorkFolder::~WorkFolder() {
  if (lock_ >= 0) ::close(lock_);
}

absl::Status WorkFolder::Remove() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot remove ", path_.string()));
  return absl::OkStatus();
}

}  // namespace floe::runner
