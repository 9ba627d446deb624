// Which programs make up a fleet on one machine, in the order in which they start, and how each is
// called. Pure.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/fleet/fleet_file.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

// One kind of process of the fleet.
struct ServiceKind {
  std::string_view name;  // `registry`; the program is floe-<name>
  bool database = false;  // has a role and a schema of its name in Postgres
  bool grpc = true;       // listens for gRPC
  int nice = 0;
};

// registry, tokenizer, trainer, alignment, billing, inference, retrieval, runner, gateway: what a
// service calls stands before it.
std::span<const ServiceKind> FleetServices();

// What the machine has, shared out between the two that compute. Both may use every core: answers
// come first, since the runner runs at a lower priority.
struct MachineBudget {
  int threads = 2;
  int64_t inference_memory_mib = 8192;
  int64_t memory_mib = 0;  // of the machine; 0: not known
};
MachineBudget BudgetOf(int cores, int64_t memory_mib);

// How the supervisor starts one process.
struct ProcessSpec {
  std::string name;
  std::vector<std::string> argv;
  std::string user;  // when root: runs as this user
  int nice = 0;
  int stop_signal = 15;         // SIGTERM
  int stop_grace_seconds = 30;  // until SIGKILL
};

std::vector<ProcessSpec> ServiceProcesses(const Layout& layout, const FleetFile& fleet,
                                          const MachineBudget& budget,
                                          const std::filesystem::path& programs);

}  // namespace floe::cli
