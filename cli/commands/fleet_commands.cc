// floe up | down | status | logs
#include <poll.h>

#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/fleet/backup.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/process.h"
#include "cli/fleet/supervisor.h"
#include "cli/output/human.h"
#include "cli/output/table.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;

struct UpFlags {
  std::optional<int> http_port;
  std::optional<int> door_port;
  std::string programs = ProgramFolder();
  double timeout_seconds = 90;
};

std::string NextThings(const FleetFile& fleet, const Layout& layout) {
  return absl::StrCat(
      "\nNext:\n"
      "  floe status                       how every service is\n"
      "  floe data import corpus.txt       register text to train on\n"
      "  floe train job.yaml --watch       train a model\n"
      "  floe chat MODEL                   talk to one\n"
      "  curl -H \"Authorization: Bearer $(cat ",
      layout.admin_key().string(), ")\" ", fleet.http(),
      "/v1/models\n"
      "  floe down                         stop the fleet; everything stays in ",
      layout.root().string(), "\n");
}

absl::Status Up(Session& session, const UpFlags& flags) {
  const Layout layout(session.fleet_folder());
  UpOptions options;
  options.programs = flags.programs;
  options.http_port = flags.http_port;
  options.door_port = flags.door_port;
  options.timeout = absl::Seconds(flags.timeout_seconds);
  options.tell = [&](const std::string& line) { session.err() << line << std::endl; };
  FLOE_ASSIGN_OR_RETURN(const UpReport report, FleetUp(layout, options));
  if (session.json) {
    Json json = Json::parse(report.fleet.ToJson());
    json["dir"] = layout.root();
    json["was_running"] = report.was_running;
    json["started"] = report.started;
    json["outdated"] = report.outdated;
    session.PrintJson(json);
    return absl::OkStatus();
  }
  if (!report.was_running) {
    session.out() << "The fleet is up.\n";
  } else if (report.started.empty()) {
    session.out() << "The fleet was running already.\n";
  } else {
    session.out() << "The fleet was running; started " << absl::StrJoin(report.started, ", ")
                  << ".\n";
  }
  if (!report.outdated.empty()) {
    session.out() << "Built anew since they started: " << absl::StrJoin(report.outdated, ", ")
                  << "; `floe down && floe up` runs the new ones.\n";
  }
  Fields fields;
  fields.Add("  HTTP", report.fleet.http() + "/v1  (OpenAI-compatible)");
  fields.Add("  door", report.fleet.door() + "  (gRPC; what floe speaks to)");
  fields.Add("  admin key", layout.admin_key());
  fields.Add("  policy", layout.policy().string() + "  (read again when it changes)");
  fields.Add("  logs", layout.logs());
  session.out() << fields.Render() << NextThings(report.fleet, layout);
  return absl::OkStatus();
}

absl::Status Down(Session& session) {
  const Layout layout(session.fleet_folder());
  FLOE_ASSIGN_OR_RETURN(const DownReport report, FleetDown(layout, [&](const std::string& line) {
                          if (!session.json) session.err() << line << std::endl;
                        }));
  if (session.json) {
    session.PrintJson({{"was_running", report.was_running}, {"killed", report.killed}});
    return absl::OkStatus();
  }
  if (!report.was_running && report.killed.empty()) {
    session.out() << "No fleet runs in " << layout.root().string() << ".\n";
    return absl::OkStatus();
  }
  session.out() << "The fleet is down; everything stays in " << layout.root().string() << ".\n";
  if (!report.killed.empty()) {
    session.out() << "These did not run under a supervisor any more, or did not stop in time: "
                  << absl::StrJoin(report.killed, ", ") << ".\n";
  }
  return absl::OkStatus();
}

std::string StateWord(const ProcessReport& process) {
  if (process.state.phase != ProcessPhase::kRunning) {
    return std::string(PhaseName(process.state.phase));
  }
  return process.ready ? "ready" : "not ready";
}

Json ToJson(const FleetReport& report, const Layout& layout) {
  Json json;
  json["dir"] = layout.root();
  json["healthy"] = report.healthy();
  json["door"] = report.fleet.door();
  json["http"] = report.fleet.http();
  json["supervisor_pid"] = report.supervisor ? Json(*report.supervisor) : Json(nullptr);
  json["services"] = Json::array();
  for (const ProcessReport& process : report.processes) {
    const ProcessState& state = process.state;
    const bool running = state.phase == ProcessPhase::kRunning;
    json["services"].push_back(
        {{"name", state.name},
         {"state", StateWord(process)},
         {"pid", running ? Json(state.process.pid) : Json(nullptr)},
         {"uptime_seconds",
          running ? Json(absl::ToInt64Seconds(absl::Now() - state.since)) : Json(nullptr)},
         {"restarts", state.restarts},
         {"last_exit", state.last_exit},
         {"grpc_port", process.ports.grpc},
         {"side_port", process.ports.side},
         {"detail", process.detail}});
  }
  return json;
}

absl::Status Status(Session& session) {
  const Layout layout(session.fleet_folder());
  absl::StatusOr<FleetReport> report = FleetStatus(layout);
  if (absl::IsNotFound(report.status())) {
    return absl::NotFoundError(
        absl::StrCat("no fleet in ", layout.root().string(), "; start one with `floe up`"));
  }
  FLOE_RETURN_IF_ERROR(report.status());
  if (session.json) {
    session.PrintJson(ToJson(*report, layout));
  } else {
    session.out() << "fleet " << layout.root().string() << "\nHTTP  " << report->fleet.http()
                  << "\ndoor  " << report->fleet.door() << "\n\n";
    Table table(
        {"SERVICE", "STATE", ">PID", ">UPTIME", ">RESTARTS", "LAST EXIT", ">GRPC", ">SIDE"});
    const auto number = [](int64_t value) { return value == 0 ? "-" : absl::StrCat(value); };
    for (const ProcessReport& process : report->processes) {
      const ProcessState& state = process.state;
      const bool running = state.phase == ProcessPhase::kRunning;
      table.Add({state.name, StateWord(process), number(running ? state.process.pid : 0),
                 running ? HumanDuration(absl::Now() - state.since) : "-",
                 absl::StrCat(state.restarts), state.last_exit.empty() ? "-" : state.last_exit,
                 number(process.ports.grpc), number(process.ports.side)});
    }
    session.out() << table.Render();
    for (const ProcessReport& process : report->processes) {
      if (!process.detail.empty()) {
        session.out() << process.state.name << ": " << process.detail << "\n";
      }
    }
  }
  if (report->healthy()) return absl::OkStatus();
  return absl::UnavailableError(report->supervisor
                                    ? "not every service is ready; `floe logs SERVICE` says why"
                                    : "the fleet is down; start it with `floe up`");
}

Tell TellErr(Session& session) {
  return [&session](const std::string& line) {
    if (!session.json) session.err() << line << std::endl;
  };
}

absl::Status ReportBackup(Session& session, const absl::StatusOr<BackupReport>& report) {
  FLOE_RETURN_IF_ERROR(report.status());
  if (session.json) {
    session.PrintJson({{"blobs", report->blobs},
                       {"blob_bytes", report->blob_bytes},
                       {"database_bytes", report->database_bytes},
                       {"journal_files", report->journal_files}});
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("database", HumanBytes(report->database_bytes));
  fields.Add("blobs", absl::StrCat(report->blobs, ", ", HumanBytes(report->blob_bytes)));
  fields.Add("journals", absl::StrCat(report->journal_files, " files"));
  session.out() << fields.Render();
  return absl::OkStatus();
}

struct LogsFlags {
  std::string service;
  int lines = 50;
  bool follow = false;
};

std::vector<std::string> LastLines(const std::string& text, int count) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (static_cast<int>(lines.size()) > count) lines.erase(lines.begin(), lines.end() - count);
  return lines;
}

absl::Status Logs(Session& session, const LogsFlags& flags) {
  const Layout layout(session.fleet_folder());
  const std::filesystem::path file = layout.log(flags.service);
  if (!std::filesystem::exists(file)) {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(layout.logs(), none)) {
      if (entry.path().extension() == ".log") names.push_back(entry.path().stem());
    }
    std::sort(names.begin(), names.end());
    return absl::NotFoundError(absl::StrCat("no log of '", flags.service, "' in ",
                                            layout.logs().string(), "; there are ",
                                            names.empty() ? "none" : absl::StrJoin(names, ", ")));
  }
  FLOE_ASSIGN_OR_RETURN(std::string text, ReadFile(file));
  for (const std::string& line : LastLines(text, flags.lines)) session.out() << line << "\n";
  session.out() << std::flush;
  std::ifstream tail(file);
  tail.seekg(static_cast<std::streamoff>(text.size()));
  while (flags.follow && session.out()) {
    std::string more((std::istreambuf_iterator<char>(tail)), std::istreambuf_iterator<char>());
    session.out() << more << std::flush;
    tail.clear();
    ::poll(nullptr, 0, 200);
  }
  return absl::OkStatus();
}

}  // namespace

void AddFleetCommands(CommandLine& line) {
  auto& up = line.Keep<UpFlags>();
  CLI::App* command = AddCommand(
      line.app(), "up", "Start the whole fleet on this machine and wait until it is ready",
      "  floe up                          in .floe/ of this folder\n"
      "  floe up --dir /srv/floe          somewhere else\n"
      "  floe up --http-port 9000\n\n"
      "Starts a private Postgres and Redis and every service under a supervisor "
      "that starts again what dies.\n"
      "Running it again says what runs and starts what is missing.");
  command
      ->add_option("--http-port", up.http_port,
                   "Port of the OpenAI-compatible HTTP [8080, or a free one]")
      ->check(CLI::Range(1, 65535));
  command->add_option("--door-port", up.door_port, "Port of the gRPC door [a free one]")
      ->check(CLI::Range(1, 65535));
  command->add_option("--programs", up.programs, "Folder of the services' programs")
      ->capture_default_str();
  command->add_option("--timeout", up.timeout_seconds, "Seconds to wait until all are ready")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  line.OnRun(command, [&up](Session& session) { return Up(session, up); });

  command = AddCommand(line.app(), "down", "Stop the fleet: drain the services, then Postgres",
                       "  floe down\n\nData, models and keys stay; `floe up` starts it again.");
  line.OnRun(command, Down);

  command = AddCommand(line.app(), "status",
                       "How every service is: state, pid, uptime, restarts, last exit, ports",
                       "  floe status\n  floe status --json | jq '.services[] | {name, state}'\n\n"
                       "Ends with 0 only when everything is ready.");
  line.OnRun(command, Status);

  auto& logs = line.Keep<LogsFlags>();
  command = AddCommand(line.app(), "logs", "The end of a service's log",
                       "  floe logs trainer\n  floe logs gateway --follow\n  floe logs supervisor");
  command->add_option("service", logs.service, "registry, tokenizer, …, postgres or supervisor")
      ->required();
  command->add_option("-n,--lines", logs.lines, "How many lines")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("-f,--follow", logs.follow, "Go on with what is written");
  line.OnRun(command, [&logs](Session& session) { return Logs(session, logs); });

  auto& backup = line.Keep<std::string>();
  command = AddCommand(line.app(), "backup",
                       "Copy a running fleet's database, blobs, journals and admin key to a folder",
                       "  floe backup /srv/backups/2026-11-24\n\n"
                       "The fleet goes on meanwhile. The folder appears whole or not at all; it "
                       "holds the admin key, so keep it closed.");
  command->add_option("folder", backup, "A folder that does not exist yet")->required();
  line.OnRun(command, [&backup](Session& session) {
    return ReportBackup(session,
                        BackupFleet(Layout(session.fleet_folder()), backup, TellErr(session)));
  });

  auto& restore = line.Keep<std::string>();
  command = AddCommand(line.app(), "restore", "Bring a backup back into an empty fleet folder",
                       "  floe restore /srv/backups/2026-11-24 && floe up\n"
                       "  floe --dir /srv/floe restore /srv/backups/2026-11-24\n\n"
                       "Every file is compared with its digest first.");
  command->add_option("folder", restore, "What `floe backup` made")->required();
  line.OnRun(command, [&restore](Session& session) {
    return ReportBackup(session,
                        RestoreFleet(restore, Layout(session.fleet_folder()), TellErr(session)));
  });

  // What `floe up` starts in the background; not for people.
  struct SuperviseFlags {
    std::string dir, programs;
  };
  auto& supervise = line.Keep<SuperviseFlags>();
  command = line.app().add_subcommand("supervise", "")->group("");
  command->add_option("folder", supervise.dir)->required();
  command->add_option("folder-of-programs", supervise.programs)->required();
  line.OnRun(command, [&supervise](Session&) {
    return SuperviseFleet(Layout(supervise.dir), supervise.programs);
  });
}

}  // namespace floe::cli
