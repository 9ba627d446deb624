#include "tests/support/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

extern char** environ;

namespace floe::test {
namespace {

// What the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int output = -1;
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  int death_signal = SIGKILL;
};

[[noreturn]] void Become(const Prepared& prepared, pid_t parent) {
  if (prepared.change_user && (::setgroups(1, &prepared.gid) != 0 || ::setgid(prepared.gid) != 0 ||
                               ::setuid(prepared.uid) != 0)) {
    ::_exit(126);
  }
  // After the change of user, which would clear it.
  ::prctl(PR_SET_PDEATHSIG, prepared.death_signal);
  if (::getppid() != parent) ::_exit(126);
  // Out of the terminal's process group: Ctrl-C reaches the test, which ends its children.
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prepared.output >= 0) {
    ::dup2(prepared.output, STDOUT_FILENO);
    ::dup2(prepared.output, STDERR_FILENO);
  }
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  ::_exit(127);
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const Options& options) {
  Prepared prepared;
  prepared.death_signal = options.death_signal;
  for (const auto& word : options.argv) prepared.argv.push_back(const_cast<char*>(word.c_str()));
  prepared.argv.push_back(nullptr);
  for (const auto& pair : options.environment) {
    prepared.environment.push_back(const_cast<char*>(pair.c_str()));
  }
  for (char** pair = environ; *pair != nullptr; ++pair) prepared.environment.push_back(*pair);
  prepared.environment.push_back(nullptr);
  if (!options.user.empty() && ::geteuid() == 0) {
    const passwd* user = ::getpwnam(options.user.c_str());
    if (user == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("there is no user '", options.user, "' on this machine"));
    }
    prepared.change_user = true;
    prepared.uid = user->pw_uid;
    prepared.gid = user->pw_gid;
  }
  if (!options.output.empty()) {
    prepared.output =
        ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (prepared.output < 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot open ", options.output.string(), ": ", std::strerror(errno)));
    }
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) Become(prepared, parent);
  if (prepared.output >= 0) ::close(prepared.output);
  if (pid < 0) return absl::UnavailableError(absl::StrCat("cannot fork: ", std::strerror(errno)));
  ChildProcess child;
  child.pid_ = pid;
  child.pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::exchange(other.pidfd_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  Signal(SIGKILL);
  Wait(absl::Seconds(30));
}

void ChildProcess::Signal(int signal) const {
  if (running()) ::kill(pid_, signal);
}

std::optional<int> ChildProcess::Wait(absl::Duration timeout) {
  if (!running()) return std::nullopt;
  const absl::Time until = absl::Now() + timeout;
  pollfd ended{pidfd_, POLLIN, 0};
  int ready = 0;
  do {
    const int64_t left = absl::ToInt64Milliseconds(until - absl::Now());
    ready = ::poll(&ended, 1, static_cast<int>(left < 0 ? 0 : left));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return std::nullopt;
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ::close(pidfd_);
  pid_ = -1;
  pidfd_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::StatusOr<int> ChildProcess::Run(const Options& options, absl::Duration timeout) {
  absl::StatusOr<ChildProcess> child = Start(options);
  if (!child.ok()) return child.status();
  const std::optional<int> code = child->Wait(timeout);
  if (!code) {
    return absl::DeadlineExceededError(
        absl::StrCat(options.argv[0], " did not end within ", absl::FormatDuration(timeout)));
  }
  return *code;
}

}  // namespace floe::test
