#include "cli/fleet/command_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

#include "base/files.h"

namespace floe::cli {

absl::StatusOr<CommandLock> CommandLock::Take(const Layout& layout) {
  const int fd = ::open(layout.command_lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return ErrnoStatus(errno, absl::StrCat("cannot open ", layout.command_lock().string()));
  CommandLock lock(fd);
  for (int attempt = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (attempt == 1200) {
      return absl::UnavailableError(absl::StrCat("another `floe up` or `floe down` works on ",
                                                 layout.root().string(), "; wait for its end"));
    }
    ::poll(nullptr, 0, 100);
  }
  return lock;
}

CommandLock::~CommandLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace floe::cli
