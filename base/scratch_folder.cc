#include "base/scratch_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/view.h"

namespace floe {

namespace fs = std::filesystem;

absl::StatusOr<ScratchFolder> ScratchFolder::At(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  fs::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make ", path.string()));
  return ScratchFolder(path);
}

absl::StatusOr<ScratchFolder> ScratchFolder::InTemp(std::string_view name) {
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  if (error) return ErrnoStatus(error.value(), "there is no folder for temporary files");
  std::string path = (temporary / absl::StrCat(AbslView(name), "-XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) return ErrnoStatus(errno, "cannot make " + path);
  return ScratchFolder(path);
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;  // nothing more can be done about it
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

absl::Status ScratchFolder::MoveTo(const fs::path& to) {
  std::error_code error;
  fs::rename(path_, to, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make ", to.string()));
  path_.clear();
  return absl::OkStatus();
}

}  // namespace floe
