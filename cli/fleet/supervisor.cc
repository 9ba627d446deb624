#include "cli/fleet/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fleet/backoff.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/redis_server.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

// How often a process that others wait for is asked whether it is ready.
constexpr absl::Duration kReadyPoll = absl::Milliseconds(20);
constexpr uintmax_t kMaxLogBytes = 32 << 20;

// One generation of an overlong log is kept.
void TurnLog(const std::filesystem::path& log) {
  std::error_code error;
  if (std::filesystem::file_size(log, error) > kMaxLogBytes && !error) {
    std::filesystem::rename(log, log.string() + ".1", error);
  }
}

}  // namespace

Supervisor::Supervisor(Layout layout, std::vector<SupervisedProcess> processes)
    : layout_(std::move(layout)), environment_(ServiceEnvironment()) {
  for (SupervisedProcess& process : processes) {
    Child child;
    child.state.name = process.name;
    child.process = std::move(process);
    child.next_start = absl::InfinitePast();
    children_.push_back(std::move(child));
  }
}

void Supervisor::Log(const std::string& line) const {
  std::fprintf(stderr, "%s %s\n", absl::FormatTime(absl::Now(), absl::UTCTimeZone()).c_str(),
               line.c_str());
}

absl::Status Supervisor::TakeLock() {
  lock_ = ::open(layout_.supervisor_lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return ErrnoStatus(errno, layout_.supervisor_lock().string());
  // `floe status` holds it for an instant when it looks.
  for (int attempt = 0; ::flock(lock_, LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (attempt == 50) {
      return absl::AlreadyExistsError("another supervisor runs this fleet");
    }
    ::poll(nullptr, 0, 10);
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, pid.data(), pid.size(), 0) < 0) {
    return ErrnoStatus(errno, layout_.supervisor_lock().string());
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Run() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  FLOE_RETURN_IF_ERROR(TakeLock());
  Log("supervising");
  const auto running = [](const Child& child) { return child.pid != 0; };
  while (stop_requests_ == 0 || std::any_of(children_.begin(), children_.end(), running)) {
    if (stop_requests_ == 0) {
      StartDue();
    } else {
      StopNext();
    }
    SaveState();
    pollfd event{signals_, POLLIN, 0};
    ::poll(&event, 1, PollMilliseconds(NextEvent() - absl::Now()));
    HandleSignals();
    Reap();
  }
  SaveState();
  Log("everything is stopped");
  ::close(signals_);
  ::close(lock_);
  return absl::OkStatus();
}

void Supervisor::HandleSignals() {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGHUP) {
      for (Child& child : children_) child.next_start = absl::InfinitePast();
    } else if (info.ssi_signo != SIGCHLD) {
      ++stop_requests_;
      Log(stop_requests_ == 1 ? "stopping" : "stopping without grace");
      if (stop_requests_ == 1) continue;
      for (Child& child : children_) child.kill_at = absl::Now();
    }
  }
}

absl::Time Supervisor::NextEvent() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Child& child : children_) {
    if (child.pid != 0) {
      next = std::min(next, child.kill_at);
      if (child.process.ready != nullptr && !child.was_ready) {
        next = std::min(next, absl::Now() + kReadyPoll);
        break;  // the others wait for it
      }
    } else if (stop_requests_ == 0) {
      next = std::min(next, child.next_start);
      if (child.process.ready != nullptr) break;
    }
  }
  return next;
}

void Supervisor::StartDue() {
  for (Child& child : children_) {
    if (child.pid == 0 && child.next_start <= absl::Now()) Start(child);
    if (child.process.ready == nullptr) continue;
    if (child.pid == 0) return;
    if (!child.was_ready) child.was_ready = child.process.ready(child.pid);
    if (!child.was_ready) return;
  }
}

void Supervisor::Start(Child& child) {
  const absl::Time now = absl::Now();
  absl::StatusOr<pid_t> pid = absl::UnknownError("");
  if (auto spec = child.process.spec(); spec.ok()) {
    child.spec = *std::move(spec);
    TurnLog(layout_.log(child.state.name));
    pid = Spawn({.argv = child.spec.argv,
                 .environment = environment_,
                 .output = layout_.log(child.state.name),
                 .working_folder = "/",
                 .user = child.spec.user,
                 .nice = child.spec.nice,
                 .death_signal = child.spec.stop_signal});
  } else {
    pid = spec.status();
  }
  child.was_ready = false;
  child.kill_at = absl::InfiniteFuture();
  child.state.since = now;
  if (!pid.ok()) {
    child.state.last_exit = std::string(pid.status().message());
    child.next_start = now + RestartDelay(++child.deaths_in_a_row);
    child.state.phase = ProcessPhase::kBackingOff;
    Log(absl::StrCat(child.state.name, " cannot be started: ", child.state.last_exit));
    return;
  }
  child.pid = *pid;
  child.state.phase = ProcessPhase::kRunning;
  child.state.process = IdentityOf(*pid).value_or(ProcessIdentity{});
  if (!child.state.last_exit.empty()) ++child.state.restarts;
  Log(absl::StrCat(child.state.name, " started as process ", *pid));
}

void Supervisor::Reap() {
  for (Child& child : children_) {
    int status = 0;
    if (child.pid != 0 && ::waitpid(child.pid, &status, WNOHANG) == child.pid) {
      ReapOne(child, status);
    }
  }
}

void Supervisor::ReapOne(Child& child, int wait_status) {
  const absl::Time now = absl::Now();
  const absl::Duration ran = now - child.state.since;
  child.pid = 0;
  child.state.process = {};
  child.state.since = now;
  child.state.last_exit = DescribeExit(wait_status);
  if (stop_requests_ > 0) {
    child.state.phase = ProcessPhase::kStopped;
    Log(absl::StrCat(child.state.name, " stopped: ", child.state.last_exit));
    return;
  }
  child.deaths_in_a_row = DeathsInARow(child.deaths_in_a_row, ran);
  const absl::Duration delay = RestartDelay(child.deaths_in_a_row);
  child.next_start = now + delay;
  child.state.phase = ProcessPhase::kBackingOff;
  Log(absl::StrCat(child.state.name, " died: ", child.state.last_exit, " after ",
                   absl::FormatDuration(ran), "; starts again in ", absl::FormatDuration(delay)));
}

// One after the other, the last started first: a service finds those that it calls until it is
// gone.
void Supervisor::StopNext() {
  const absl::Time now = absl::Now();
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->pid == 0) {
      child->state.phase = ProcessPhase::kStopped;
      continue;
    }
    if (child->state.phase != ProcessPhase::kStopping) {
      child->state.phase = ProcessPhase::kStopping;
      if (stop_requests_ == 1) child->kill_at = now + absl::Seconds(child->spec.stop_grace_seconds);
      ::kill(child->pid, child->spec.stop_signal);
    }
    if (child->kill_at <= now) {
      Log(absl::StrCat(child->state.name, " does not stop; killed"));
      ::kill(child->pid, SIGKILL);
      child->kill_at = absl::InfiniteFuture();
    }
    return;
  }
}

void Supervisor::SaveState() {
  FleetState state;
  state.supervisor = IdentityOf(::getpid()).value_or(ProcessIdentity{});
  for (const Child& child : children_) state.processes.push_back(child.state);
  std::string json = state.ToJson();
  if (json == saved_) return;
  const absl::Status status = WriteFileAtomically(layout_.state_file(), json);
  if (!status.ok()) Log(absl::StrCat("cannot save the state: ", status.ToString()));
  saved_ = std::move(json);
}

absl::Status SuperviseFleet(const Layout& layout, const std::filesystem::path& programs) {
  FLOE_ASSIGN_OR_RETURN(const FleetFile fleet, ReadFleetFile(layout));
  struct sysinfo memory {};
  ::sysinfo(&memory);
  const MachineBudget budget =
      BudgetOf(static_cast<int>(std::thread::hardware_concurrency()),
               static_cast<int64_t>(memory.totalram) * memory.mem_unit >> 20);
  std::vector<SupervisedProcess> processes;
  processes.push_back({.spec = [layout] { return PostgresProcess(layout); },
                       .name = "postgres",
                       .ready = [layout](pid_t pid) { return IsPostgresReady(layout, pid); }});
  processes.push_back({.spec = [layout] { return RedisProcess(layout); },
                       .name = "redis",
                       .ready = nullptr});  // who uses it does without until it is there
  for (ProcessSpec& spec : ServiceProcesses(layout, fleet, budget, programs)) {
    const std::string name = spec.name;
    processes.push_back({.spec = [spec]() -> absl::StatusOr<ProcessSpec> { return spec; },
                         .name = name,
                         .ready = nullptr});
  }
  return Supervisor(layout, std::move(processes)).Run();
}

}  // namespace floe::cli
