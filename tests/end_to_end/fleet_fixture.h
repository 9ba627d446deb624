// A whole fleet of real processes in a temporary folder, and `floe` to speak to it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/http/http_client.h"
#include <nlohmann/json.hpp>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::test {

// The result of one run of `floe`.
struct Said {
  int code = -1;
  std::string out;
  std::string err;
};

// Main thread only (see ChildProcess). Nothing outlives it, also when the test is killed: a watcher
// takes the fleet down then.
class FleetFixture {
 public:
  FleetFixture();
  ~FleetFixture();

  const std::filesystem::path& folder() const { return dir_.path(); }
  std::filesystem::path fleet() const { return dir_ / ".floe"; }
  std::filesystem::path Write(const std::string& name, const std::string& bytes) const {
    return dir_.Write(name, bytes);
  }

  // Runs `floe words…` in folder(), with NAME=value added to the environment.
  Said Floe(const std::vector<std::string>& words,
            const std::vector<std::string>& environment = {});
  // The same with --json: what was printed, or a null value (and a failure of the test) when the
  // exit code is not 0.
  nlohmann::json FloeJson(std::vector<std::string> words);

  // POST to the gateway's HTTP with the admin key.
  cli::HttpResponse Post(const std::string& path, const nlohmann::json& body);
  // The same, and closes the connection when the first bytes of the answer's body come.
  void PostAndLeave(const std::string& path, const nlohmann::json& body);

  // Waits until `floe status` says that all is ready; false after a minute.
  bool WaitUntilHealthy();

 private:
  cli::HttpRequest RequestTo(const std::string& path, const nlohmann::json& body) const;

  TempDir dir_;
  std::filesystem::path program_;
  ChildProcess watcher_;
};

}  // namespace floe::test
