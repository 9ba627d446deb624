#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/fleet/certificates.h"
#include "cli/fleet/command_lock.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/fleet_files.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/probe.h"
#include "cli/fleet/redis_server.h"
#include "cli/fleet/service_plan.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(50);
// A service that dies this often while it starts will not come up by waiting longer.
constexpr int kHopelessRestarts = 6;

void Pause() { ::poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(kPoll))); }

std::string LastLines(const std::filesystem::path& file, size_t count) {
  const auto bytes = ReadFile(file, uint64_t{1} << 28);
  if (!bytes.ok()) return {};
  std::vector<std::string> lines = absl::StrSplit(*bytes, '\n', absl::SkipEmpty());
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<long>(count));
  return absl::StrCat("\n  ", absl::StrJoin(lines, "\n  "));
}

std::vector<std::string> Names(bool database_only) {
  std::vector<std::string> names;
  for (const ServiceKind& kind : FleetServices()) {
    if (!database_only || kind.database) names.emplace_back(kind.name);
  }
  return names;
}

absl::Status Prepare(const Layout& layout, const UpOptions& options, UpReport& report) {
  FLOE_RETURN_IF_ERROR(CheckPrograms(options.programs));
  const absl::StatusOr<FleetFile> before = ReadFleetFile(layout);
  if (!before.ok() && !absl::IsNotFound(before.status())) return before.status();
  // What a killed supervisor left would hold ports and the database.
  FLOE_RETURN_IF_ERROR(StopFleet(layout, nullptr).status());
  FLOE_ASSIGN_OR_RETURN(report.fleet,
                        ChoosePorts(layout, before.ok() ? &*before : nullptr, options));
  FLOE_RETURN_IF_ERROR(EnsureCertificates(layout.certs(), Names(false), absl::Now()));
  FLOE_RETURN_IF_ERROR(EnsureAdminKey(layout));
  FLOE_RETURN_IF_ERROR(EnsurePolicy(layout));
  FLOE_RETURN_IF_ERROR(PrepareRedis(layout));
  FLOE_RETURN_IF_ERROR(EnsurePriceBook(layout));
  if (!before.ok()) options.tell("preparing a private Postgres");
  FLOE_RETURN_IF_ERROR(PreparePostgres(layout, Names(true)));
  return WriteFileAtomically(layout.fleet_file(), report.fleet.ToJson());
}

// Whether another file has taken the place of the program that runs: it was built anew.
bool IsOutdated(pid_t pid) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
  return !error && absl::EndsWith(program.string(), " (deleted)");
}

absl::Status StartSupervisor(const Layout& layout, const UpOptions& options) {
  std::error_code error;
  std::filesystem::remove(layout.state_file(), error);
  FLOE_ASSIGN_OR_RETURN(
      const pid_t pid,
      Spawn({.argv = {ProgramFolder() / "floe", "supervise", layout.root(), options.programs},
             .environment = ServiceEnvironment(),
             .output = layout.log("supervisor"),
             .working_folder = "/",
             .new_session = true}));
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (absl::Now() < until) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      return absl::UnavailableError(absl::StrCat("the supervisor ended at once (",
                                                 DescribeExit(status),
                                                 "):", LastLines(layout.log("supervisor"), 5)));
    }
    const auto state = ReadFleetState(layout);
    if (state.ok() && state->supervisor.pid == pid) return absl::OkStatus();
    Pause();
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the supervisor does not report; see ", layout.log("supervisor").string()));
}

// The first process that is not ready; empty when all are.
std::string NotReady(const FleetReport& report, absl::Status& hopeless) {
  for (const ProcessReport& process : report.processes) {
    if (process.ready) continue;
    if (process.state.restarts >= kHopelessRestarts) {
      hopeless = absl::UnavailableError(
          absl::StrCat(process.state.name, " keeps dying (", process.state.last_exit, ")"));
    }
    return process.state.name;
  }
  return {};
}

absl::Status WaitUntilReady(const Layout& layout, const UpOptions& options) {
  const absl::Time until = absl::Now() + options.timeout;
  absl::Status given_up;
  std::string waiting_for;
  while (given_up.ok()) {
    FLOE_ASSIGN_OR_RETURN(const FleetReport report, FleetStatus(layout));
    if (report.healthy()) return absl::OkStatus();
    if (!report.supervisor) given_up = absl::UnavailableError("the supervisor died");
    waiting_for = NotReady(report, given_up);
    if (absl::Now() >= until) {
      std::string detail;
      for (const ProcessReport& process : report.processes) {
        if (process.state.name == waiting_for) detail = process.detail;
      }
      given_up = absl::DeadlineExceededError(
          absl::StrCat(waiting_for, " is not ready after ", absl::FormatDuration(options.timeout),
                       detail.empty() ? "" : absl::StrCat(" (", detail, ")")));
    }
    if (given_up.ok()) Pause();
  }
  const std::filesystem::path log = layout.log(waiting_for.empty() ? "supervisor" : waiting_for);
  return absl::Status(
      given_up.code(),
      absl::StrCat(given_up.message(), "; the end of ", log.string(), ":", LastLines(log, 8),
                   "\n`floe status` shows all of them, `floe down` stops them"));
}

}  // namespace

absl::StatusOr<UpReport> FleetUp(const Layout& layout, const UpOptions& options) {
  FLOE_RETURN_IF_ERROR(MakeFolders(layout));
  FLOE_ASSIGN_OR_RETURN(const CommandLock lock, CommandLock::Take(layout));
  if (std::filesystem::exists(layout.restoring())) {
    return absl::FailedPreconditionError(
        absl::StrCat("a restore into ", layout.root().string(),
                     " was cut off; remove that folder and run `floe restore` again"));
  }
  UpReport report;
  if (const auto supervisor = LivingSupervisor(layout)) {
    report.was_running = true;
    FLOE_ASSIGN_OR_RETURN(report.fleet, ReadFleetFile(layout));
    FLOE_ASSIGN_OR_RETURN(const FleetState state, ReadFleetState(layout));
    for (const ProcessState& process : state.processes) {
      if (process.phase != ProcessPhase::kRunning) {
        report.started.push_back(process.name);
      } else if (IsOutdated(process.process.pid)) {
        report.outdated.push_back(process.name);
      }
    }
    if (!report.started.empty()) ::kill(*supervisor, SIGHUP);
  } else {
    FLOE_RETURN_IF_ERROR(Prepare(layout, options, report));
    options.tell(absl::StrCat("starting postgres, redis, ", absl::StrJoin(Names(false), ", ")));
    FLOE_RETURN_IF_ERROR(StartSupervisor(layout, options));
    report.started = Names(false);
    report.started.insert(report.started.begin(), {"postgres", "redis"});
  }
  FLOE_RETURN_IF_ERROR(WaitUntilReady(layout, options));
  return report;
}

}  // namespace floe::cli
