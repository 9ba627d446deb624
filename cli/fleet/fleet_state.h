// What the supervisor knows of its processes, in a file that `floe status` and `floe down` read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/fleet/layout.h"
#include "cli/fleet/process.h"

namespace floe::cli {

enum class ProcessPhase { kWaiting, kRunning, kBackingOff, kStopping, kStopped };

std::string_view PhaseName(ProcessPhase phase);  // "waiting", "running", "backing off", …

struct ProcessState {
  std::string name;
  ProcessPhase phase = ProcessPhase::kWaiting;
  ProcessIdentity process;  // of the running process; pid 0: none
  absl::Time since;         // when it was started, or when it last ended
  int restarts = 0;         // since the supervisor's start
  std::string last_exit;    // "exit 1", "killed by SIGKILL"; empty: never ended
  bool operator==(const ProcessState&) const = default;
};

struct FleetState {
  ProcessIdentity supervisor;
  std::vector<ProcessState> processes;  // in the order in which they start
  bool operator==(const FleetState&) const = default;

  std::string ToJson() const;
  static absl::StatusOr<FleetState> Parse(std::string_view json);
};

// NOT_FOUND when no supervisor has run.
absl::StatusOr<FleetState> ReadFleetState(const Layout& layout);

// The living supervisor's pid; nothing when none lives, whatever files say: it holds a lock that
// the kernel releases with the process.
std::optional<pid_t> LivingSupervisor(const Layout& layout);

// "exit 3" or "killed by SIGTERM" from waitpid's status.
std::string DescribeExit(int wait_status);

}  // namespace floe::cli
