#include "tests/services/runtime/probe_process.h"

#include <grpcpp/grpcpp.h>

#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "base/files.h"

namespace floe::runtime {

bool WaitUntil(const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + absl::Minutes(1);
  while (!condition()) {
    if (absl::Now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

ProbeProcess::ProbeProcess(std::vector<std::string> flags, std::vector<std::string> environment) {
  const std::filesystem::path ports = folder_ / "ports.json";
  std::vector<std::string> argv = {FLOE_PROBE_SERVICE, "--ports-file", ports.string(),
                                   "--log-level", "debug"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  auto started = test::ChildProcess::Start(
      {.argv = argv, .environment = std::move(environment), .output = folder_ / "log"});
  if (!started.ok()) {
    ADD_FAILURE() << started.status();
    return;
  }
  process_ = *std::move(started);
  const bool serving = WaitUntil([&] {
    return std::filesystem::exists(ports) || process_.Wait(absl::Milliseconds(5)).has_value();
  });
  const auto json = ReadFile(ports);
  if (!serving || !json.ok()) {
    ADD_FAILURE() << "the probe did not serve:\n" << log();
    return;
  }
  ports_ = nlohmann::json::parse(*json);
}

std::string ProbeProcess::log() const { return ReadFile(folder_ / "log").value_or(""); }

std::unique_ptr<tokenizer::v1::TokenizerService::Stub> ProbeProcess::Stub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return tokenizer::v1::TokenizerService::NewStub(
      grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
}

Ended RunProbe(std::vector<std::string> flags, std::vector<std::string> environment) {
  const test::TempDir folder;
  std::vector<std::string> argv = {FLOE_PROBE_SERVICE};
  argv.insert(argv.end(), flags.begin(), flags.end());
  const auto code = test::ChildProcess::Run(
      {.argv = argv, .environment = std::move(environment), .output = folder / "log"},
      absl::Minutes(1));
  if (!code.ok()) ADD_FAILURE() << code.status();
  return {code.value_or(-1), ReadFile(folder / "log").value_or("")};
}

}  // namespace floe::runtime
