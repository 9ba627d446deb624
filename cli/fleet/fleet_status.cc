#include "cli/fleet/fleet.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/probe.h"
#include "cli/fleet/redis_server.h"
#include "cli/fleet/service_plan.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(3);

void Probe(const Layout& layout, ProcessReport& process) {
  if (process.state.phase != ProcessPhase::kRunning) return;
  if (process.state.name == "postgres") {
    process.ready = IsPostgresReady(layout, process.state.process.pid);
    return;
  }
  if (process.state.name == "redis") {
    process.ready = IsRedisReady(layout);
    return;
  }
  Readiness readiness = ProbeReady(process.ports.side, kProbeTimeout);
  process.ready = readiness.ready;
  if (!process.ready) process.detail = std::move(readiness.detail);
}

}  // namespace

bool FleetReport::healthy() const {
  if (!supervisor || processes.empty()) return false;
  for (const ProcessReport& process : processes) {
    if (!process.ready) return false;
  }
  return true;
}

absl::StatusOr<FleetReport> FleetStatus(const Layout& layout) {
  FleetReport report;
  FLOE_ASSIGN_OR_RETURN(report.fleet, ReadFleetFile(layout));
  report.supervisor = LivingSupervisor(layout);
  const absl::StatusOr<FleetState> state = ReadFleetState(layout);
  if (state.ok()) {
    for (const ProcessState& process : state->processes) {
      ProcessReport entry{process, {}, false, {}};
      // A killed supervisor's file says what was, not what is.
      if (!report.supervisor && !IsAlive(process.process)) {
        entry.state.phase = ProcessPhase::kStopped;
      }
      report.processes.push_back(std::move(entry));
    }
  } else {
    ProcessState stopped{.name = "postgres", .phase = ProcessPhase::kStopped};
    report.processes.push_back({stopped, {}, false, {}});
    stopped.name = "redis";
    report.processes.push_back({stopped, {}, false, {}});
    for (const ServiceKind& kind : FleetServices()) {
      stopped.name = std::string(kind.name);
      report.processes.push_back({stopped, {}, false, {}});
    }
  }
  for (ProcessReport& process : report.processes) {
    const auto ports = report.fleet.services.find(process.state.name);
    if (ports != report.fleet.services.end()) process.ports = ports->second;
    Probe(layout, process);
  }
  return report;
}

}  // namespace floe::cli
