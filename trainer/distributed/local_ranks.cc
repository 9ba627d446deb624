#include "trainer/distributed/local_ranks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/files.h"

extern char** environ;

namespace floe::trainer {
namespace {

constexpr char kParent[] = "FLOE_PARENT_RANK_PID";

std::filesystem::path LogOf(const std::filesystem::path& logs, int rank) {
  return logs / absl::StrCat("rank-", rank, ".log");
}

std::vector<std::string> EnvironmentOf(const RankPlace& place, int rank) {
  const std::vector<std::pair<std::string, std::string>> told = {
      {"RANK", absl::StrCat(rank)},
      {"WORLD_SIZE", absl::StrCat(place.size)},
      {"MASTER_ADDR", place.address},
      {"MASTER_PORT", absl::StrCat(place.port)},
      {kParent, absl::StrCat(::getpid())}};
  std::vector<std::string> all;
  for (const auto& [name, value] : told) all.push_back(absl::StrCat(name, "=", value));
  for (char** variable = environ; *variable != nullptr; ++variable) {
    // Options of the parent's, secrets among them, are none of theirs.
    bool replaced = absl::StartsWith(*variable, "FLOE_");
    for (const auto& [name, value] : told) {
      replaced = replaced || absl::StartsWith(*variable, name + "=");
    }
    if (!replaced) all.emplace_back(*variable);
  }
  return all;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<pid_t> Spawn(const LocalRanksOptions& options, int rank) {
  const std::vector<std::string> environment = EnvironmentOf(options.place, rank);
  const std::string log = LogOf(options.logs, rank).string();
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, options.argv[0].c_str(), &files, &attributes,
                                Pointers(options.argv).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", options.argv[0]));
  return pid;
}

std::string LastLine(const std::filesystem::path& log) {
  std::string text = ReadFile(log).value_or("");
  absl::StripTrailingAsciiWhitespace(&text);
  return text.substr(text.rfind('\n') + 1);
}

absl::Status Ended(int rank, int status, const std::filesystem::path& log) {
  const std::string how = WIFSIGNALED(status)
                              ? absl::StrCat("was killed by signal ", WTERMSIG(status))
                              : absl::StrCat("ended with code ", WEXITSTATUS(status));
  const std::string said = LastLine(log);
  return absl::UnavailableError(
      absl::StrCat("rank ", rank, " ", how, said.empty() ? "" : ": ", said));
}

}  // namespace

absl::StatusOr<LocalRanks> LocalRanks::Start(const LocalRanksOptions& options) {
  LocalRanks ranks;
  ranks.logs_ = options.logs;
  for (int rank = 1; rank < options.place.size; ++rank) {
    const auto pid = Spawn(options, rank);
    if (!pid.ok()) return pid.status();
    ranks.children_.push_back({rank, *pid});
  }
  return ranks;
}

LocalRanks::LocalRanks(LocalRanks&& other) noexcept
    : children_(std::exchange(other.children_, {})),
      logs_(std::move(other.logs_)),
      lost_(std::move(other.lost_)) {}

LocalRanks& LocalRanks::operator=(LocalRanks&& other) noexcept {
  std::swap(children_, other.children_);
  std::swap(logs_, other.logs_);
  std::swap(lost_, other.lost_);
  return *this;
}

LocalRanks::~LocalRanks() { Kill(); }

absl::Status LocalRanks::Lost() {
  for (Child& child : children_) {
    int status = 0;
    if (child.pid < 0 || ::waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
    child.pid = -1;
    if (status != 0 && lost_.ok()) lost_ = Ended(child.rank, status, LogOf(logs_, child.rank));
  }
  return lost_;
}

absl::Status LocalRanks::Explain(const absl::Status& status) {
  if (status.ok()) return status;
  // Their connections close a moment before they can be reaped.
  for (int look = 0; look < 20 && absl::IsUnavailable(status) && Lost().ok(); ++look) {
    ::poll(nullptr, 0, 10);
  }
  const absl::Status lost = Lost();
  Kill();
  if (lost.ok() || !absl::IsUnavailable(status)) return status;
  return absl::UnavailableError(
      absl::StrCat(lost.message(),
                   "; training goes on from the last saved state when it is "
                   "started again"));
}

void LocalRanks::Kill() {
  for (const Child& child : children_) {
    if (child.pid >= 0) ::kill(child.pid, SIGKILL);
  }
  for (Child& child : children_) {
    while (child.pid >= 0 && ::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    child.pid = -1;
  }
}

void EndWithParentRank() {
  const char* parent = std::getenv(kParent);
  if (parent == nullptr) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (absl::StrCat(::getppid()) != parent) std::_Exit(1);  // it was gone before
}

}  // namespace floe::trainer
