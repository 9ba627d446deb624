// A private Postgres for the tests of one process: a Unix socket in a temporary folder, no TCP
// port, no durability. Needs the package `postgresql`; as root it runs as the user `postgres`.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::test {

// Starting costs about two seconds, so mark the test executable ONE_PROCESS and share the server.
// CreateDatabase() may be called from any thread; Stop() and Start() from the main thread only (see
// ChildProcess). Failures to start abort the process with the server's own log.
class Postgres {
 public:
  // The process's server, started by the first call and ended at exit.
  static Postgres& Shared();

  Postgres();
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;
  ~Postgres();

  // The connection string of a new, empty database.
  std::string CreateDatabase();

  // For fault tests. Stop() breaks every connection at once, as a crash would; Start() brings the
  // same data back at the same address and returns when the server answers.
  void Stop();
  void Start();

 private:
  std::string Dsn(const std::string& database) const;

  TempDir dir_;
  std::filesystem::path programs_;  // .../postgresql/15/bin
  ChildProcess server_;
};

}  // namespace floe::test
