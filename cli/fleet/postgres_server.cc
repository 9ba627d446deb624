#include "cli/fleet/postgres_server.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/fleet/process.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr char kUser[] = "postgres";
constexpr char kPackage[] = "postgresql";
// Where the data goes when the user postgres cannot enter the fleet's folder (/root, say).
constexpr char kSharedData[] = "/var/lib/postgresql";
constexpr size_t kMaxSocketPath = 107;
constexpr char kSocketName[] = "/.s.PGSQL.5432";
// Marks a cluster whose database, roles and rules are complete.
constexpr char kDone[] = "floe-prepared";
// Socket and data lie on this machine; durability stays on, since jobs and versions must survive.
constexpr char kSettings[] =
    "\nlisten_addresses = ''\nmax_connections = 100\nshared_buffers = 64MB\n"
    "logging_collector = off\nlog_line_prefix = '%m [%p] %u '\n";

bool IsRoot() { return ::geteuid() == 0; }

absl::StatusOr<const passwd*> PostgresUser() {
  const passwd* user = ::getpwnam(kUser);
  if (user != nullptr) return user;
  return absl::NotFoundError(
      "Postgres does not run as root, and there is no user 'postgres'; install the Debian package "
      "postgresql (apt-get install postgresql)");
}

// Whether the user postgres may pass through every folder down to `path`.
bool PostgresCanEnter(const std::filesystem::path& path) {
  if (!IsRoot()) return true;
  const passwd* user = ::getpwnam(kUser);
  if (user == nullptr) return false;
  std::filesystem::path folder;
  for (const auto& part : path) {
    folder /= part;
    struct stat info;
    if (::stat(folder.c_str(), &info) != 0) return true;  // still to be made, with a mode that fits
    const mode_t bit = info.st_uid == user->pw_uid   ? S_IXUSR
                       : info.st_gid == user->pw_gid ? S_IXGRP
                                                     : S_IXOTH;
    if ((info.st_mode & bit) == 0) return false;
  }
  return true;
}

// A folder of mode 0700 that belongs to the server's user, and is no one else's trap.
absl::Status MakeServerFolder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", folder.string()));
  }
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("cannot open ", folder.string()));
  absl::Status status;
  struct stat info;
  uid_t owner = ::geteuid();
  gid_t group = ::getegid();
  if (IsRoot()) {
    const auto user = PostgresUser();
    if (!user.ok()) {
      ::close(fd);
      return user.status();
    }
    owner = (*user)->pw_uid;
    group = (*user)->pw_gid;
  }
  if (::fstat(fd, &info) != 0 || (info.st_uid != ::geteuid() && info.st_uid != owner)) {
    status = absl::PermissionDeniedError(
        absl::StrCat(folder.string(), " belongs to another user; remove it"));
  } else if (::fchown(fd, owner, group) != 0 || ::fchmod(fd, 0700) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("cannot own ", folder.string()));
  }
  ::close(fd);
  return status;
}

std::filesystem::path SharedSocketFolder(const Layout& layout) {
  return absl::StrCat("/tmp/floe-", layout.short_id());
}

std::string RandomPassword() {
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 6; ++i) {
    const uint32_t word = random();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  return absl::BytesToHexString(bytes);
}

absl::StatusOr<std::string> RunServerProgram(std::vector<std::string> argv,
                                             const std::string& input) {
  SpawnOptions options;
  options.argv = std::move(argv);
  options.environment = ServiceEnvironment();
  options.working_folder = "/";
  options.user = kUser;
  FLOE_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(options, input, absl::Seconds(120)));
  if (result.code == 0) return result.output;
  return absl::UnavailableError(
      absl::StrCat(options.argv[0], " ended with ", result.code, ":\n", result.output));
}

// One statement a line, executed by a server without connections. Errors do not end it, so its
// output is searched for them.
absl::Status ExecuteAlone(const std::filesystem::path& programs, const Layout& layout,
                          const std::string& database, const std::string& sql) {
  // Not by the link, which the user postgres may be unable to follow.
  std::error_code none;
  const std::filesystem::path data = std::filesystem::canonical(layout.postgres_data(), none);
  FLOE_ASSIGN_OR_RETURN(
      const std::string output,
      RunServerProgram({programs / "postgres", "--single", "-D", data, database}, sql));
  const size_t error = output.find("ERROR:");
  if (error == std::string::npos) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("preparing Postgres: ", output.substr(error)));
}

// postmaster.pid: the server's lock file. Empty when there is none.
std::vector<std::string> LockFileLines(const Layout& layout) {
  const auto bytes = ReadFile(layout.postgres_data() / "postmaster.pid", 1 << 12);
  if (!bytes.ok()) return {};
  return absl::StrSplit(*bytes, '\n');
}

// A lock file whose process is no server of this folder (which would have it as its working folder)
// would keep the server from starting once its pid is given to another process.
void RemoveStaleLockFile(const Layout& layout, const std::filesystem::path& data) {
  const std::vector<std::string> lines = LockFileLines(layout);
  if (lines.empty()) return;
  std::error_code error;
  const auto folder =
      std::filesystem::read_symlink(absl::StrCat("/proc/", lines[0], "/cwd"), error);
  if (error || folder != data) std::filesystem::remove(data / "postmaster.pid", error);
}

// `local` lines only: the server has no TCP port. Every service proves itself by its password; the
// person who owns the fleet reaches the superuser by being that Unix user.
absl::Status WriteRules(const Layout& layout) {
  const passwd* self = ::getpwuid(::geteuid());
  const std::string person = IsRoot() ? kUser : self == nullptr ? "nobody" : self->pw_name;
  std::string rules = absl::StrCat("local all ", kUser, " peer map=floe\n");
  absl::StrAppend(&rules, "local floe all scram-sha-256\n");
  std::ofstream(layout.postgres_data() / "pg_hba.conf") << rules;
  std::ofstream(layout.postgres_data() / "pg_ident.conf")
      << "floe " << person << " " << kUser << "\nfloe root " << kUser << "\n";
  std::ofstream settings(layout.postgres_data() / "postgresql.conf", std::ios::app);
  settings << kSettings;
  if (!settings.flush()) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", (layout.postgres_data() / "postgresql.conf").string()));
  }
  return absl::OkStatus();
}

absl::Status MakeCluster(const std::filesystem::path& programs, const Layout& layout) {
  const std::filesystem::path data = layout.postgres_data();
  std::error_code error;
  std::filesystem::path place = data;
  if (!PostgresCanEnter(layout.postgres())) {
    // A folder of this name was left by a fleet here whose `.floe` was deleted.
    place = std::filesystem::path(kSharedData) / absl::StrCat("floe-", layout.short_id());
  }
  std::filesystem::remove(data, error);  // a link; a folder is removed below
  std::filesystem::remove_all(place, error);
  FLOE_RETURN_IF_ERROR(MakeServerFolder(place));
  if (place != data) {
    std::filesystem::create_directory_symlink(place, data, error);
    if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot link ", data.string()));
  }
  FLOE_RETURN_IF_ERROR(
      RunServerProgram({programs / "initdb", "-D", place, "-U", kUser, "--auth=reject",
                        "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"},
                       "")
          .status());
  FLOE_RETURN_IF_ERROR(WriteRules(layout));
  return ExecuteAlone(programs, layout, "postgres",
                      "CREATE DATABASE floe\n"
                      "REVOKE ALL ON DATABASE floe FROM PUBLIC\n"
                      "REVOKE ALL ON DATABASE postgres FROM PUBLIC\n");
}

// The role can log in with its password and do as it likes in its own schema, and nowhere else.
absl::Status AddService(const std::filesystem::path& programs, const Layout& layout,
                        const std::string& service) {
  const std::string password = RandomPassword();
  FLOE_RETURN_IF_ERROR(ExecuteAlone(programs, layout, "floe",
                                    absl::StrFormat("DROP SCHEMA IF EXISTS %1$s CASCADE\n"
                                                    "DROP ROLE IF EXISTS %1$s\n"
                                                    "CREATE ROLE %1$s LOGIN PASSWORD '%2$s'\n"
                                                    "GRANT CONNECT ON DATABASE floe TO %1$s\n"
                                                    "REVOKE ALL ON SCHEMA public FROM PUBLIC\n"
                                                    "CREATE SCHEMA %1$s AUTHORIZATION %1$s\n"
                                                    "ALTER ROLE %1$s SET search_path = %1$s\n",
                                                    service, password)));
  const std::string url = absl::StrFormat("host='%s' dbname=floe user=%s password=%s\n",
                                          SocketFolder(layout).string(), service, password);
  const mode_t before = ::umask(077);
  const absl::Status status = WriteFileAtomically(layout.database_url(service), url);
  ::umask(before);
  return status;
}

}  // namespace

absl::StatusOr<std::filesystem::path> FindPostgresPrograms(const std::filesystem::path& root) {
  std::filesystem::path newest;
  int newest_version = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(root, none)) {
    int version = 0;
    const std::filesystem::path bin = entry.path() / "bin";
    if (absl::SimpleAtoi(entry.path().filename().string(), &version) && version > newest_version &&
        std::filesystem::exists(bin / "initdb") && std::filesystem::exists(bin / "postgres")) {
      newest = bin;
      newest_version = version;
    }
  }
  if (!newest.empty()) return newest;
  return absl::NotFoundError(absl::StrCat("Postgres is not installed (no ", root.string(),
                                          "/*/bin/postgres); install the Debian package ", kPackage,
                                          ": apt-get install ", kPackage));
}

std::filesystem::path SocketFolder(const Layout& layout) {
  const std::filesystem::path own = layout.run() / "postgres";
  if (own.string().size() + sizeof(kSocketName) - 1 <= kMaxSocketPath &&
      PostgresCanEnter(layout.run())) {
    return own;
  }
  return SharedSocketFolder(layout);
}

absl::Status PreparePostgres(const Layout& layout, std::span<const std::string> services) {
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path programs, FindPostgresPrograms());
  if (IsRoot()) FLOE_RETURN_IF_ERROR(PostgresUser().status());
  std::error_code error;
  std::filesystem::create_directories(layout.postgres(), error);
  if (error)
    return ErrnoStatus(error.value(), absl::StrCat("cannot make ", layout.postgres().string()));
  FLOE_RETURN_IF_ERROR(MakeServerFolder(SocketFolder(layout)));
  const std::filesystem::path done = layout.postgres() / kDone;
  if (!std::filesystem::exists(done, error)) {
    for (const std::string& service : services) {
      std::filesystem::remove(layout.database_url(service), error);
    }
    FLOE_RETURN_IF_ERROR(MakeCluster(programs, layout));
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(done, ""));
  }
  for (const std::string& service : services) {
    if (std::filesystem::exists(layout.database_url(service), error)) continue;
    FLOE_RETURN_IF_ERROR(AddService(programs, layout, service));
  }
  return absl::OkStatus();
}

absl::StatusOr<ProcessSpec> PostgresProcess(const Layout& layout) {
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path programs, FindPostgresPrograms());
  FLOE_RETURN_IF_ERROR(MakeServerFolder(SocketFolder(layout)));
  std::error_code error;
  const std::filesystem::path data = std::filesystem::canonical(layout.postgres_data(), error);
  if (error) {
    return absl::NotFoundError(absl::StrCat(
        "the database's files are gone: ", layout.postgres_data().string(), ": ", error.message()));
  }
  RemoveStaleLockFile(layout, data);
  return ProcessSpec{.name = kUser,
                     .argv = {programs / "postgres", "-D", data, "-k", SocketFolder(layout)},
                     .user = kUser,
                     .stop_signal = SIGINT,  // "fast": ends sessions, writes everything
                     .stop_grace_seconds = 30};
}

bool IsPostgresReady(const Layout& layout, pid_t pid) {
  // Line 8 of postmaster.pid is how the server itself says so; pg_ctl reads it too. Line 1 tells
  // this server's file from one that a killed server left.
  const std::vector<std::string> lines = LockFileLines(layout);
  return lines.size() >= 8 && lines[0] == absl::StrCat(pid) &&
         absl::StripAsciiWhitespace(lines[7]) == "ready";
}

void RemoveSocketFolder(const Layout& layout) {
  std::error_code error;
  const std::filesystem::path folder = SocketFolder(layout);
  if (folder == SharedSocketFolder(layout)) std::filesystem::remove_all(folder, error);
}

}  // namespace floe::cli
