// Keeps the fleet's processes running: starts them in order, starts again what dies (later and
// later when it dies again), stops them in reverse order.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/fleet/fleet_state.h"
#include "cli/fleet/layout.h"
#include "cli/fleet/service_plan.h"

namespace floe::cli {

struct SupervisedProcess {
  // Asked at every start, since what is right may have changed.
  std::function<absl::StatusOr<ProcessSpec>()> spec;
  std::string name;
  // Later processes wait until this one says so; null: they do not wait.
  std::function<bool(pid_t)> ready;
};

// One thread and no other in the process: children die with it (PR_SET_PDEATHSIG), so that nothing
// is left when it is killed. SIGTERM and SIGINT end it in order; a second one kills at once. SIGHUP
// starts what is backing off without further wait.
class Supervisor {
 public:
  Supervisor(Layout layout, std::vector<SupervisedProcess> processes);

  // Returns when everything has been stopped. ALREADY_EXISTS when another supervisor lives.
  absl::Status Run();

 private:
  struct Child {
    SupervisedProcess process;
    ProcessState state;
    ProcessSpec spec;
    pid_t pid = 0;
    bool was_ready = false;
    int deaths_in_a_row = 0;
    absl::Time next_start;
    absl::Time kill_at = absl::InfiniteFuture();
  };

  absl::Status TakeLock();
  void StartDue();
  void Start(Child& child);
  void Reap();
  void ReapOne(Child& child, int wait_status);
  void StopNext();
  absl::Time NextEvent() const;
  void HandleSignals();
  void SaveState();
  void Log(const std::string& line) const;

  const Layout layout_;
  std::vector<Child> children_;
  std::vector<std::string> environment_;
  int signals_ = -1;
  int lock_ = -1;
  int stop_requests_ = 0;
  std::string saved_;
};

// The body of the supervisor's process: Postgres and every service of `layout`'s fleet.
absl::Status SuperviseFleet(const Layout& layout, const std::filesystem::path& programs);

}  // namespace floe::cli
