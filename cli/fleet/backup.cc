#include "cli/fleet/backup.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fleet/fleet_files.h"
#include "cli/fleet/fleet_state.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/process.h"
#include "cli/fleet/service_plan.h"
#include <nlohmann/json.hpp>

#include "base/file_reader.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr char kManifest[] = "backup.json";
constexpr char kDump[] = "floe.dump";
constexpr char kServerUser[] = "postgres";
constexpr absl::Duration kDumpTime = absl::Hours(6);

absl::Status Failed(const std::error_code& error, const std::string& what) {
  return ErrnoStatus(error.value(), what);
}

absl::StatusOr<FileDigest> Digest(const fs::path& path) {
  FLOE_ASSIGN_OR_RETURN(const FileReader file, FileReader::Open(path));
  return DigestOf(file);
}

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Failed(error, absl::StrCat("cannot make ", folder.string()));
  fs::permissions(folder, fs::perms::owner_all, error);
  return error ? Failed(error, absl::StrCat("cannot close ", folder.string())) : absl::OkStatus();
}

absl::Status CopyFile(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) {
    return Failed(error, absl::StrCat("cannot copy ", from.string(), " to ", to.string()));
  }
  return SyncPath(to);
}

// Copies the files below `from`, folders included; one that goes away meanwhile is left out when
// `moving`. Nothing to copy is fine.
absl::StatusOr<int64_t> CopyTree(const fs::path& from, const fs::path& to, bool moving) {
  int64_t files = 0;
  std::error_code error;
  if (!fs::exists(from, error)) return files;
  // Names first: what a journal says it has handed over is copied before its segments.
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(from, error)) {
    if (entry.is_regular_file(error)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end(), std::greater<>());
  for (const fs::path& path : paths) {
    if (path.filename() == "lock") continue;
    const fs::path target = to / path.lexically_relative(from);
    FLOE_RETURN_IF_ERROR(MakeFolder(target.parent_path()));
    const absl::Status copied = CopyFile(path, target);
    if (moving && absl::IsNotFound(copied)) continue;
    FLOE_RETURN_IF_ERROR(copied);
    ++files;
  }
  return files;
}

// Copies every blob whose bytes are what its name says.
absl::Status CopyBlobs(const fs::path& from, const fs::path& to, const Tell& tell,
                       BackupReport& report) {
  std::error_code error;
  const fs::path store = from / "sha256";
  if (!fs::exists(store, error)) return absl::OkStatus();
  for (const auto& entry : fs::recursive_directory_iterator(store, error)) {
    const std::string name = entry.path().filename();
    if (!entry.is_regular_file(error) || !IsSha256Hex(name)) continue;  // an upload on its way
    const fs::path target = to / entry.path().lexically_relative(from);
    FLOE_RETURN_IF_ERROR(MakeFolder(target.parent_path()));
    FLOE_RETURN_IF_ERROR(CopyFile(entry.path(), target));
    FLOE_ASSIGN_OR_RETURN(const FileDigest digest, Digest(target));
    if (digest.sha256 != name) {
      return absl::DataLossError(
          absl::StrCat("the bytes of blob ", entry.path().string(),
                       " are not those of its name; `floe models "
                       "verify` tells which version needs it, and sending it again heals it"));
    }
    if (++report.blobs % 1000 == 0) tell(absl::StrCat(report.blobs, " blobs"));
    report.blob_bytes += digest.size;
  }
  return absl::OkStatus();
}

// Runs a program of Postgres against the fleet's server, as the user who may.
absl::Status RunClient(const Layout& layout, const std::string& program,
                       std::vector<std::string> arguments) {
  FLOE_ASSIGN_OR_RETURN(const fs::path programs, FindPostgresPrograms());
  SpawnOptions options;
  options.argv = {programs / program, "--host",    SocketFolder(layout),
                  "--username",       kServerUser, "--no-password"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.environment = ServiceEnvironment();
  options.working_folder = "/";
  options.user = kServerUser;
  FLOE_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(options, "", kDumpTime));
  if (result.code == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(program, " ended with ", result.code, ":\n", result.output));
}

// The server's user writes where it may: beside its socket. The file goes on from there.
absl::Status Dump(const Layout& layout, const fs::path& target) {
  const fs::path own = SocketFolder(layout) / absl::StrCat("backup-", ::getpid());
  const absl::Cleanup remove = [&] {
    std::error_code error;
    fs::remove(own, error);
  };
  FLOE_RETURN_IF_ERROR(
      RunClient(layout, "pg_dump", {"--format=custom", "--dbname=floe", "--file", own.string()}));
  FLOE_RETURN_IF_ERROR(CopyFile(own, target));
  std::error_code error;
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write, error);
  return error ? Failed(error, "cannot close " + target.string()) : absl::OkStatus();
}

absl::Status WriteManifest(const fs::path& folder) {
  Json files = Json::object();
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    const fs::path name = entry.path().lexically_relative(folder);
    if (!entry.is_regular_file(error) || *name.begin() == "blobs") continue;
    FLOE_ASSIGN_OR_RETURN(const FileDigest digest, Digest(entry.path()));
    files[name.string()] = {{"sha256", digest.sha256}, {"size", digest.size}};
  }
  const Json manifest = {
      {"format", kFormat},
      {"time", absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone())},
      {"files", std::move(files)}};
  return WriteFileAtomically(folder / kManifest, manifest.dump(2) + "\n");
}

absl::Status CheckManifest(const fs::path& folder) {
  const auto text = ReadFile(folder / kManifest, 64 << 20);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat(folder.string(), " is no backup: it has no ", kManifest));
  }
  FLOE_RETURN_IF_ERROR(text.status());
  const Json manifest = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object() || manifest.value("format", 0) != kFormat ||
      !manifest.contains("files") || !manifest["files"].is_object()) {
    return absl::InvalidArgumentError(absl::StrCat((folder / kManifest).string(),
                                                   " is not of format ", kFormat,
                                                   "; a newer floe may have written it"));
  }
  for (const auto& [name, entry] : manifest["files"].items()) {
    FLOE_ASSIGN_OR_RETURN(const FileDigest digest, Digest(folder / name));
    if (!entry.is_object() || digest.sha256 != entry.value("sha256", "")) {
      return absl::DataLossError(
          absl::StrCat((folder / name).string(), " has other bytes than when it was backed up"));
    }
  }
  return absl::OkStatus();
}

// Runs the server alone for as long as `work` takes.
absl::Status WithServer(const Layout& layout, const std::function<absl::Status()>& work) {
  FLOE_ASSIGN_OR_RETURN(const ProcessSpec spec, PostgresProcess(layout));
  FLOE_ASSIGN_OR_RETURN(const pid_t pid, Spawn({.argv = spec.argv,
                                                .environment = ServiceEnvironment(),
                                                .output = layout.log("postgres"),
                                                .working_folder = "/",
                                                .user = spec.user,
                                                .death_signal = spec.stop_signal}));
  const ProcessIdentity server = IdentityOf(pid).value_or(ProcessIdentity{});
  const absl::Cleanup stop = [&] {
    StopProcess(server, spec.stop_signal, absl::Seconds(spec.stop_grace_seconds));
  };
  const absl::Time until = absl::Now() + absl::Seconds(60);
  while (!IsPostgresReady(layout, pid)) {
    if (absl::Now() > until || !IsAlive(server)) {
      return absl::UnavailableError(
          absl::StrCat("Postgres does not start; see ", layout.log("postgres").string()));
    }
    ::poll(nullptr, 0, 50);
  }
  return work();
}

absl::Status RestoreDatabase(const fs::path& folder, const Layout& layout) {
  std::vector<std::string> services;
  for (const ServiceKind& kind : FleetServices()) {
    if (kind.database) services.emplace_back(kind.name);
  }
  FLOE_RETURN_IF_ERROR(PreparePostgres(layout, services));
  return WithServer(layout, [&]() -> absl::Status {
    const fs::path own = SocketFolder(layout) / absl::StrCat("restore-", ::getpid());
    const absl::Cleanup remove = [&] {
      std::error_code error;
      fs::remove(own, error);
    };
    FLOE_RETURN_IF_ERROR(CopyFile(folder / kDump, own));
    std::error_code error;
    // Read by the server's user alone, in a folder that only it can enter.
    fs::permissions(own, fs::perms::owner_read | fs::perms::others_read, error);
    // The schemas that were just made are empty; the dump's take their place, owners included.
    return RunClient(layout, "pg_restore",
                     {"--dbname=floe", "--clean", "--if-exists", "--single-transaction",
                      "--exit-on-error", own.string()});
  });
}

absl::Status CopyIfThere(const fs::path& from, const fs::path& to) {
  std::error_code error;
  return fs::exists(from, error) ? CopyFile(from, to) : absl::OkStatus();
}

int64_t SizeOf(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

absl::StatusOr<BackupReport> BackupFleet(const Layout& layout, const fs::path& folder,
                                         const Tell& tell) {
  std::error_code error;
  if (fs::exists(folder, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder.string(), " exists; name a folder that does not"));
  }
  if (!LivingSupervisor(layout)) {
    return absl::FailedPreconditionError(
        absl::StrCat("no fleet runs in ", layout.root().string(), "; start it with `floe up`"));
  }
  const fs::path partial = absl::StrCat(folder.string(), ".partial");
  fs::remove_all(partial, error);
  absl::Cleanup remove = [&] { fs::remove_all(partial, error); };
  FLOE_RETURN_IF_ERROR(MakeFolder(partial));
  BackupReport report;
  tell("copying the journals");
  FLOE_ASSIGN_OR_RETURN(report.journal_files,
                        CopyTree(layout.journals(), partial / "journals", /*moving=*/true));
  tell("dumping the database");
  FLOE_RETURN_IF_ERROR(Dump(layout, partial / kDump));
  report.database_bytes = SizeOf(partial / kDump);
  tell("copying the blobs");
  FLOE_RETURN_IF_ERROR(CopyBlobs(layout.blobs(), partial / "blobs", tell, report));
  FLOE_RETURN_IF_ERROR(CopyIfThere(layout.admin_key(), partial / "admin.key"));
  FLOE_RETURN_IF_ERROR(CopyIfThere(layout.policy(), partial / "policy.yaml"));
  FLOE_RETURN_IF_ERROR(WriteManifest(partial));
  fs::rename(partial, folder, error);
  if (error) return Failed(error, absl::StrCat("cannot name ", folder.string()));
  std::move(remove).Cancel();
  FLOE_RETURN_IF_ERROR(SyncPath(fs::absolute(folder).parent_path()));
  return report;
}

absl::StatusOr<BackupReport> RestoreFleet(const fs::path& folder, const Layout& layout,
                                          const Tell& tell) {
  std::error_code error;
  if (fs::exists(layout.root(), error) && !fs::is_empty(layout.root(), error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(layout.root().string(),
                     " is not empty; a backup is restored into an empty fleet: remove "
                     "the folder, or name another with --dir"));
  }
  tell("comparing the backup with its digests");
  FLOE_RETURN_IF_ERROR(CheckManifest(folder));
  FLOE_RETURN_IF_ERROR(MakeFolders(layout));
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(layout.restoring(), ""));
  BackupReport report;
  tell("copying the blobs");
  FLOE_RETURN_IF_ERROR(CopyBlobs(folder / "blobs", layout.blobs(), tell, report));
  FLOE_ASSIGN_OR_RETURN(report.journal_files,
                        CopyTree(folder / "journals", layout.journals(), /*moving=*/false));
  FLOE_RETURN_IF_ERROR(CopyIfThere(folder / "admin.key", layout.admin_key()));
  FLOE_RETURN_IF_ERROR(CopyIfThere(folder / "policy.yaml", layout.policy()));
  tell("restoring the database");
  FLOE_RETURN_IF_ERROR(RestoreDatabase(folder, layout));
  report.database_bytes = SizeOf(folder / kDump);
  fs::remove(layout.restoring(), error);
  if (error) return Failed(error, absl::StrCat("cannot remove ", layout.restoring().string()));
  return report;
}

}  // namespace floe::cli
