#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "cli/fleet/command_lock.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/process.h"
#include "cli/fleet/redis_server.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

// Longer than all services' own grace one after the other.
constexpr absl::Duration kSupervisorGrace = absl::Minutes(4);
constexpr absl::Duration kLeftoverGrace = absl::Seconds(15);

}  // namespace

absl::StatusOr<DownReport> FleetDown(const Layout& layout,
                                     const std::function<void(const std::string&)>& tell) {
  std::error_code error;
  if (!std::filesystem::exists(layout.run(), error)) return DownReport{};
  FLOE_ASSIGN_OR_RETURN(const CommandLock lock, CommandLock::Take(layout));
  return StopFleet(layout, tell);
}

absl::StatusOr<DownReport> StopFleet(const Layout& layout,
                                     const std::function<void(const std::string&)>& tell) {
  DownReport report;
  if (const auto pid = LivingSupervisor(layout)) {
    report.was_running = true;
    if (tell != nullptr) tell("stopping the services, then Postgres");
    if (const auto supervisor = IdentityOf(*pid)) {
      ::kill(*pid, SIGTERM);
      if (!WaitUntilGone(*supervisor, kSupervisorGrace)) {
        report.killed.push_back("supervisor");
        StopProcess(*supervisor, SIGKILL, absl::Seconds(10));
      }
    }
  }
  // What a supervisor that was killed had started; identities tell them from other processes.
  absl::StatusOr<FleetState> left = ReadFleetState(layout);
  if (!left.ok() && !absl::IsNotFound(left.status())) return left.status();
  if (!left.ok()) left = FleetState{};
  std::reverse(left->processes.begin(), left->processes.end());
  for (const ProcessState& process : left->processes) {
    if (process.process.pid == 0 || !IsAlive(process.process)) continue;
    report.killed.push_back(process.name);
    StopProcess(process.process, process.name == "postgres" ? SIGINT : SIGTERM, kLeftoverGrace);
  }
  std::error_code error;
  std::filesystem::remove(layout.state_file(), error);
  std::filesystem::remove(layout.supervisor_lock(), error);
  RemoveSocketFolder(layout);
  RemoveRedisSocket(layout);
  return report;
}

}  // namespace floe::cli
