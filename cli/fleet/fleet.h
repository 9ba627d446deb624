// The whole fleet on this machine: up, down, how it is.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/fleet/fleet_file.h"
#include "cli/fleet/fleet_state.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

struct UpOptions {
  std::filesystem::path programs;  // folder of floe and the services
  std::optional<int> http_port;    // exactly this one; else what the fleet had, 8080, or a free one
  std::optional<int> door_port;
  absl::Duration timeout = absl::Seconds(90);
  std::function<void(const std::string&)> tell;  // a line for people about what is being done
};

struct UpReport {
  FleetFile fleet;
  bool was_running = false;
  std::vector<std::string> started;   // processes that did not run before
  std::vector<std::string> outdated;  // run a program whose file was replaced since
};

// Makes what is missing, starts the supervisor unless one lives, and returns when every service is
// ready. When one is not within `timeout`, DEADLINE_EXCEEDED shows the end of its log; what runs is
// left running.
absl::StatusOr<UpReport> FleetUp(const Layout& layout, const UpOptions& options);

struct DownReport {
  bool was_running = false;
  std::vector<std::string> killed;  // processes that did not stop by themselves
};

// Stops everything in reverse order, Postgres last, and returns when nothing is left; also what a
// killed supervisor left behind. Nothing runs: that is fine too.
absl::StatusOr<DownReport> FleetDown(const Layout& layout,
                                     const std::function<void(const std::string&)>& tell);

// FleetDown for a caller that holds the CommandLock.
absl::StatusOr<DownReport> StopFleet(const Layout& layout,
                                     const std::function<void(const std::string&)>& tell);

struct ProcessReport {
  ProcessState state;
  ServicePorts ports;
  bool ready = false;
  std::string detail;  // why it is not ready
};

struct FleetReport {
  FleetFile fleet;
  std::optional<pid_t> supervisor;
  std::vector<ProcessReport> processes;

  bool healthy() const;  // the supervisor lives and everything is ready
};

// NOT_FOUND when there is no fleet in that folder.
absl::StatusOr<FleetReport> FleetStatus(const Layout& layout);

}  // namespace floe::cli
