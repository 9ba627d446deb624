// The probe service as a child process, and a client of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "services/runtime/options.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::runtime {

// Waits, up to a minute, until `condition` holds; false when it never did.
bool WaitUntil(const std::function<bool()>& condition);

class ProbeProcess {
 public:
  // Started and serving, or the test has failed. `flags` replace --insecure when they name TLS
  // files.
  explicit ProbeProcess(std::vector<std::string> flags = {"--insecure"},
                        std::vector<std::string> environment = {});

  int port(const std::string& name) const { return ports_.at(name).get<int>(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port("grpc")); }
  std::string log() const;
  test::ChildProcess& process() { return process_; }

  // A plain channel of its own.
  std::unique_ptr<tokenizer::v1::TokenizerService::Stub> Stub() const;

 private:
  test::TempDir folder_;
  test::ChildProcess process_;
  nlohmann::json ports_;
};

// Starts the program with flags that it should refuse, and waits for its end.
struct Ended {
  int code = -1;
  std::string output;
};
Ended RunProbe(std::vector<std::string> flags, std::vector<std::string> environment = {});

}  // namespace floe::runtime
