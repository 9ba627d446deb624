// A private Redis for the tests of one process: a Unix socket in a temporary folder, nothing on
// disk.
#pragma once

#include <filesystem>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::test {

// Stop() and Start() from the main thread only (see ChildProcess); what was stored is gone after a
// Stop(), as with a Redis that vanished. Failures to start abort the process with the server's log.
class Redis {
 public:
  // The process's server, started by the first call and ended at exit.
  static Redis& Shared();

  Redis();
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;
  ~Redis();

  // For redisConnectUnix().
  std::filesystem::path socket() const { return dir_ / "redis.sock"; }

  void Stop();
  void Start();

 private:
  TempDir dir_;
  ChildProcess server_;
};

}  // namespace floe::test
