// Processes that this program starts, and telling them from others that later got their number.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe::cli {

// A pid alone may have been given to another process since: the start time tells them apart within
// one boot, the boot id across boots.
struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat: clock ticks since boot
  std::string boot_id;

  bool operator==(const ProcessIdentity&) const = default;
};

// Nothing when there is no such process, or only its remains (a zombie).
std::optional<ProcessIdentity> IdentityOf(pid_t pid);
bool IsAlive(const ProcessIdentity& identity);

struct SpawnOptions {
  std::vector<std::string> argv;         // argv[0] is the path of the program
  std::vector<std::string> environment;  // NAME=value; the whole of it
  std::filesystem::path output;          // stdout and stderr are appended here
  std::filesystem::path working_folder;  // empty: the caller's
  std::string user;                      // when root: become this user; empty: stay
  int nice = 0;                          // added to the priority's number
  int death_signal = 0;                  // sent to the child when this thread ends; 0: none
  bool new_session = false;              // out of the terminal's reach
};

// Starts a program; the child is the caller's to reap. The child begins with no blocked signals,
// stdin from /dev/null and no inherited files. A program that is not there is NOT_FOUND here, not a
// child that fails.
absl::StatusOr<pid_t> Spawn(const SpawnOptions& options);

// Starts a program with `input` on its stdin, waits, and gives its exit code (128 + signal when it
// was killed) and everything it printed. Kills it after `timeout`: DEADLINE_EXCEEDED.
struct CommandResult {
  int code = 0;
  std::string output;
};
absl::StatusOr<CommandResult> RunCommand(SpawnOptions options, const std::string& input,
                                         absl::Duration timeout);

// Waits until the process is gone, whoever its parent is; false after `timeout`.
bool WaitUntilGone(const ProcessIdentity& identity, absl::Duration timeout);

// SIGTERM (or `signal`), then SIGKILL after `grace`; only if the identity still holds.
void StopProcess(const ProcessIdentity& identity, int signal, absl::Duration grace);

// This process's environment without FLOE_* variables, which would configure a service by accident.
std::vector<std::string> ServiceEnvironment();

// The folder of the running program, where its siblings are.
std::filesystem::path ProgramFolder();

}  // namespace floe::cli
