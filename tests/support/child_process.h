// A program that a test starts, and that never outlives it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe::test {

// The kernel ends the child when the thread that started it ends, also by a crash
// (PR_SET_PDEATHSIG): start children from the test's main thread. Not thread-safe. The destructor
// kills and reaps.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> argv;         // argv[0] is the path of the program
    std::vector<std::string> environment;  // NAME=value, added to the test's own
    std::filesystem::path output;          // stdout and stderr go here; empty: the test's own
    std::string user;                      // run as this user when the test is root; empty: as is
    int death_signal = SIGKILL;            // sent by the kernel when the test dies
  };

  static absl::StatusOr<ChildProcess> Start(const Options& options);

  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }

  void Signal(int signal) const;

  // The exit code (128 + signal when it was killed), or nothing when it still runs after `timeout`.
  std::optional<int> Wait(absl::Duration timeout);

  // Starts a program and waits for its end; the exit code.
  static absl::StatusOr<int> Run(const Options& options, absl::Duration timeout);

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
};

}  // namespace floe::test
