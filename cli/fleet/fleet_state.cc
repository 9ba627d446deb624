#include "cli/fleet/fleet_state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr std::array<std::string_view, 5> kPhases = {"waiting", "running", "backing off",
                                                     "stopping", "stopped"};

nlohmann::ordered_json ToJson(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start_ticks", process.start_ticks}, {"boot_id", process.boot_id}};
}

ProcessIdentity IdentityFrom(const nlohmann::json& json) {
  return {json.at("pid").get<pid_t>(), json.at("start_ticks").get<uint64_t>(),
          json.at("boot_id").get<std::string>()};
}

ProcessPhase PhaseFrom(const std::string& name) {
  for (size_t i = 0; i < kPhases.size(); ++i) {
    if (kPhases[i] == name) return static_cast<ProcessPhase>(i);
  }
  return ProcessPhase::kWaiting;
}

}  // namespace

std::string_view PhaseName(ProcessPhase phase) { return kPhases[static_cast<size_t>(phase)]; }

std::string FleetState::ToJson() const {
  nlohmann::ordered_json json;
  json["supervisor"] = cli::ToJson(supervisor);
  json["processes"] = nlohmann::ordered_json::array();
  for (const ProcessState& process : processes) {
    json["processes"].push_back({{"name", process.name},
                                 {"phase", std::string(PhaseName(process.phase))},
                                 {"process", cli::ToJson(process.process)},
                                 {"since_unix_ms", absl::ToUnixMillis(process.since)},
                                 {"restarts", process.restarts},
                                 {"last_exit", process.last_exit}});
  }
  return json.dump(2) + "\n";
}

absl::StatusOr<FleetState> FleetState::Parse(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    FleetState state;
    state.supervisor = IdentityFrom(json.at("supervisor"));
    for (const auto& entry : json.at("processes")) {
      ProcessState process;
      process.name = entry.at("name").get<std::string>();
      process.phase = PhaseFrom(entry.at("phase").get<std::string>());
      process.process = IdentityFrom(entry.at("process"));
      process.since = absl::FromUnixMillis(entry.at("since_unix_ms").get<int64_t>());
      process.restarts = entry.at("restarts").get<int>();
      process.last_exit = entry.at("last_exit").get<std::string>();
      state.processes.push_back(std::move(process));
    }
    return state;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not the supervisor's state: ", error.what()));
  }
}

absl::StatusOr<FleetState> ReadFleetState(const Layout& layout) {
  FLOE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(layout.state_file(), 1 << 20));
  return FleetState::Parse(bytes);
}

std::optional<pid_t> LivingSupervisor(const Layout& layout) {
  const int fd = ::open(layout.supervisor_lock().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  pid_t pid = 0;
  const auto text = ReadFile(layout.supervisor_lock(), 64);
  if (!held || !text.ok() || !absl::SimpleAtoi(*text, &pid) || pid <= 0) return std::nullopt;
  return pid;
}

std::string DescribeExit(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exit ", WEXITSTATUS(wait_status));
  const char* name = ::sigabbrev_np(WTERMSIG(wait_status));
  return absl::StrCat("killed by SIG", name == nullptr ? "?" : name);
}

}  // namespace floe::cli
