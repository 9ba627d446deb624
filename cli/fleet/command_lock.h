// One `floe up` or `floe down` at a time a fleet.
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

// Held until destroyed; the kernel releases it when the process dies.
class CommandLock {
 public:
  // Waits up to two minutes for another command: UNAVAILABLE after that.
  static absl::StatusOr<CommandLock> Take(const Layout& layout);
  CommandLock(CommandLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  CommandLock& operator=(CommandLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~CommandLock();

 private:
  explicit CommandLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace floe::cli
