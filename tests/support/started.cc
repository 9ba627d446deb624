#include "tests/support/started.h"

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace floe::test {

int StartServing(const ChildProcess::Options& options, const std::filesystem::path& ports,
                 ChildProcess& process) {
  std::filesystem::remove(ports);
  auto started = ChildProcess::Start(options);
  if (started.ok()) process = *std::move(started);
  while (!std::filesystem::exists(ports)) {
    if (!process.running() || process.Wait(absl::Milliseconds(20))) {
      std::cerr << options.argv[0] << " does not serve: " << ReadFile(options.output).value_or("")
                << std::endl;
      std::abort();
    }
  }
  return nlohmann::json::parse(*ReadFile(ports))["grpc"].get<int>();
}

std::string AddressOf(int port) { return absl::StrCat("127.0.0.1:", port); }

}  // namespace floe::test
