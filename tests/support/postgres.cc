#include "tests/support/postgres.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

namespace floe::test {
namespace {

constexpr char kUser[] = "postgres";

[[noreturn]] void Give(const std::string& why, const std::filesystem::path& log) {
  std::cerr << "private Postgres: " << why << "\n" << std::ifstream(log).rdbuf() << std::endl;
  std::abort();
}

// Debian keeps the server programs out of PATH, one folder a version; the newest wins.
std::filesystem::path FindPrograms() {
  std::filesystem::path newest;
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const std::filesystem::path bin = version.path() / "bin";
    if (std::filesystem::exists(bin / "initdb") && (newest.empty() || newest < bin)) newest = bin;
  }
  return newest;
}

}  // namespace

Postgres& Postgres::Shared() {
  static Postgres server;
  return server;
}

Postgres::Postgres() : programs_(FindPrograms()) {
  const std::filesystem::path log = dir_ / "log";
  if (programs_.empty()) {
    Give("no /usr/lib/postgresql/*/bin/initdb; install the package postgresql", log);
  }
  if (::geteuid() == 0) {
    const passwd* user = ::getpwnam(kUser);
    if (user == nullptr || ::chown(dir_.path().c_str(), user->pw_uid, user->pw_gid) != 0) {
      Give("running as root, and there is no user postgres; install the package postgresql", log);
    }
  }
  const auto code = ChildProcess::Run(
      {.argv = {programs_ / "initdb", "-D", dir_ / "data", "-U", kUser, "--auth=trust",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
       .output = log,
       .user = kUser},
      absl::Seconds(120));
  if (!code.ok() || *code != 0) Give("initdb failed", log);
  Start();
}

Postgres::~Postgres() { Stop(); }

void Postgres::Start() {
  if (server_.running()) return;
  const std::filesystem::path log = dir_ / "log";
  auto server =
      ChildProcess::Start({.argv = {programs_ / "postgres", "-D", dir_ / "data", "-k", dir_.path(),
                                    "-h", "", "-c", "fsync=off", "-c", "full_page_writes=off", "-c",
                                    "shared_buffers=32MB", "-c", "max_connections=200"},
                           .output = log,
                           .user = kUser,
                           .death_signal = SIGQUIT});
  if (!server.ok()) Give(std::string(server.status().message()), log);
  server_ = *std::move(server);
  for (int attempt = 0; attempt < 6000; ++attempt) {
    try {
      pqxx::connection connection(Dsn("postgres"));
      return;
    } catch (const pqxx::broken_connection&) {
      // Waits for the server's early end, which is the one event that is worth waking up for.
      if (server_.Wait(absl::Milliseconds(10))) break;
    }
  }
  Give("the server does not answer", log);
}

void Postgres::Stop() {
  if (!server_.running()) return;
  server_.Signal(SIGQUIT);
  if (!server_.Wait(absl::Seconds(30))) Give("the server does not stop", dir_ / "log");
}

std::string Postgres::Dsn(const std::string& database) const {
  return absl::StrCat("host=", dir_.path().string(), " user=", kUser, " dbname=", database);
}

std::string Postgres::CreateDatabase() {
  static std::atomic<int> last{0};
  const std::string name = absl::StrCat("test_", ++last);
  pqxx::connection connection(Dsn("postgres"));
  pqxx::nontransaction(connection).exec("CREATE DATABASE " + connection.quote_name(name));
  return Dsn(name);
}

}  // namespace floe::test
