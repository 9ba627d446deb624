#include "cli/fleet/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

#include "base/files.h"
#include "base/status_macros.h"

extern char** environ;

namespace floe::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// What the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int input = -1;
  int output = -1;
  const char* working_folder = nullptr;
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  int nice = 0;
  int death_signal = 0;
  bool new_session = false;
  int report = -1;  // errno of a failed exec is written here
};

[[noreturn]] void Fail(int report) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(report, &error, sizeof(error));
  ::_exit(127);
}

[[noreturn]] void Become(const Prepared& prepared, pid_t parent) {
  if (prepared.new_session) {
    ::setsid();
  } else {
    ::setpgid(0, 0);
  }
  if (prepared.nice != 0) ::setpriority(PRIO_PROCESS, 0, prepared.nice);
  if (prepared.working_folder != nullptr && ::chdir(prepared.working_folder) != 0) {
    Fail(prepared.report);
  }
  if (prepared.change_user && (::setgroups(1, &prepared.gid) != 0 || ::setgid(prepared.gid) != 0 ||
                               ::setuid(prepared.uid) != 0)) {
    Fail(prepared.report);
  }
  // After the change of user, which would clear it.
  if (prepared.death_signal != 0) {
    ::prctl(PR_SET_PDEATHSIG, prepared.death_signal);
    if (::getppid() != parent) ::_exit(126);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(prepared.input, STDIN_FILENO);
  ::dup2(prepared.output, STDOUT_FILENO);
  ::dup2(prepared.output, STDERR_FILENO);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  Fail(prepared.report);
}

absl::Status SetUser(const std::string& user, Prepared& prepared) {
  if (user.empty() || ::geteuid() != 0) return absl::OkStatus();
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no user '", user, "' on this machine"));
  }
  prepared.change_user = true;
  prepared.uid = entry->pw_uid;
  prepared.gid = entry->pw_gid;
  return absl::OkStatus();
}

absl::StatusOr<pid_t> SpawnWith(const SpawnOptions& options, int input, int output) {
  Prepared prepared;
  for (const auto& word : options.argv) prepared.argv.push_back(const_cast<char*>(word.c_str()));
  prepared.argv.push_back(nullptr);
  for (const auto& pair : options.environment) {
    prepared.environment.push_back(const_cast<char*>(pair.c_str()));
  }
  prepared.environment.push_back(nullptr);
  FLOE_RETURN_IF_ERROR(SetUser(options.user, prepared));
  prepared.input = input;
  prepared.output = output;
  if (!options.working_folder.empty()) prepared.working_folder = options.working_folder.c_str();
  prepared.nice = options.nice;
  prepared.death_signal = options.death_signal;
  prepared.new_session = options.new_session;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  Descriptor read_end(ends[0]), write_end(ends[1]);
  prepared.report = write_end.get();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) Become(prepared, parent);
  if (pid < 0) return ErrnoStatus(errno, absl::StrCat("cannot start ", options.argv[0]));
  write_end.Close();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got == sizeof(error)) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoStatus(error, absl::StrCat("cannot start ", options.argv[0]));
  }
  return pid;
}

int PidDescriptor(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Feeds and drains a child until both pipes are done; false when `until` came first.
bool Exchange(Descriptor& in, Descriptor& out, const std::string& input, absl::Time until,
              std::string& output) {
  size_t sent = 0;
  if (input.empty()) in.Close();
  char buffer[1 << 14];
  while (out.get() >= 0) {
    pollfd fds[2] = {{out.get(), POLLIN, 0}, {in.get(), POLLOUT, 0}};
    const int64_t left = absl::ToInt64Milliseconds(until - absl::Now());
    if (left <= 0) return false;
    if (::poll(fds, 2, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0) {
      const ssize_t n = ::read(out.get(), buffer, sizeof(buffer));
      if (n > 0) output.append(buffer, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) out.Close();
    }
    if (fds[1].revents != 0) {
      const ssize_t n = ::write(in.get(), input.data() + sent, input.size() - sent);
      if (n > 0) sent += static_cast<size_t>(n);
      if (sent == input.size() || (n < 0 && errno != EINTR && errno != EAGAIN)) in.Close();
    }
  }
  return true;
}

}  // namespace

std::optional<ProcessIdentity> IdentityOf(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"), 1 << 16);
  const auto boot = ReadFile("/proc/sys/kernel/random/boot_id", 1 << 10);
  if (!stat.ok() || !boot.ok()) return std::nullopt;
  // The name in parentheses may hold anything; the fields after the last one are numbers.
  const size_t close = stat->rfind(')');
  if (close == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(stat->substr(close + 1), ' ', absl::SkipEmpty());
  ProcessIdentity identity;
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X" ||
      !absl::SimpleAtoi(fields[19], &identity.start_ticks)) {
    return std::nullopt;
  }
  identity.pid = pid;
  identity.boot_id = std::string(absl::StripAsciiWhitespace(*boot));
  return identity;
}

bool IsAlive(const ProcessIdentity& identity) { return IdentityOf(identity.pid) == identity; }

absl::StatusOr<pid_t> Spawn(const SpawnOptions& options) {
  Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::string path = options.output.empty() ? "/dev/null" : options.output.string();
  Descriptor output(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (output.get() < 0) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  return SpawnWith(options, input.get(), output.get());
}

absl::StatusOr<CommandResult> RunCommand(SpawnOptions options, const std::string& input,
                                         absl::Duration timeout) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  Descriptor child_in(in[0]), feed(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  Descriptor drain(out[0]), child_out(out[1]);
  FLOE_ASSIGN_OR_RETURN(const pid_t pid, SpawnWith(options, child_in.get(), child_out.get()));
  child_in.Close();
  child_out.Close();
  // A child that ends early must not end this program by SIGPIPE.
  ::signal(SIGPIPE, SIG_IGN);
  ::fcntl(feed.get(), F_SETFL, O_NONBLOCK);
  CommandResult result;
  if (!Exchange(feed, drain, input, absl::Now() + timeout, result.output)) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return absl::DeadlineExceededError(
        absl::StrCat(options.argv[0], " did not end within ", absl::FormatDuration(timeout)));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.code = ExitCodeOf(status);
  return result;
}

bool WaitUntilGone(const ProcessIdentity& identity, absl::Duration timeout) {
  Descriptor pidfd(PidDescriptor(identity.pid));
  if (pidfd.get() < 0 || !IsAlive(identity)) return true;
  const absl::Time until = absl::Now() + timeout;
  pollfd gone{pidfd.get(), POLLIN, 0};
  while (true) {
    const int64_t left = absl::ToInt64Milliseconds(until - absl::Now());
    const int ready = ::poll(&gone, 1, static_cast<int>(left < 0 ? 0 : left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

void StopProcess(const ProcessIdentity& identity, int signal, absl::Duration grace) {
  if (!IsAlive(identity)) return;
  ::kill(identity.pid, signal);
  if (WaitUntilGone(identity, grace)) return;
  ::kill(identity.pid, SIGKILL);
  WaitUntilGone(identity, absl::Seconds(10));
}

std::vector<std::string> ServiceEnvironment() {
  std::vector<std::string> environment;
  for (char** pair = environ; *pair != nullptr; ++pair) {
    if (!absl::StartsWith(*pair, "FLOE_")) environment.emplace_back(*pair);
  }
  return environment;
}

std::filesystem::path ProgramFolder() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
}

}  // namespace floe::cli
