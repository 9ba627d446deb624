// floe-registry, floe-trainer and floe-runner as processes, with a dataset and a tokenizer of
// teams/nlp in the registry: what a pre-training job needs.
#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::trainer {

// Calls of a developer of `team`.
runtime::OutgoingCall As(const std::string& team);

// Started on the test's main thread, ended by the destructor. Not thread-safe.
class TrainingFleet {
 public:
  TrainingFleet();

  std::shared_ptr<grpc::Channel> registry() const { return Channel(registry_address_); }
  std::shared_ptr<grpc::Channel> trainer() const { return Channel(trainer_address_); }
  // The folder in which the job works, `id` being the last part of its name.
  std::filesystem::path work_folder(std::string_view id) const { return dir_ / "work" / id; }

  void StartRunner();
  void KillRunner();  // kill -9
  pid_t runner_pid() const { return runner_.pid(); }
  // What it tells Prometheus, once it serves.
  std::string RunnerMetrics() const;

  const std::string& dataset_digest() const { return dataset_digest_; }
  const std::string& tokenizer_digest() const { return tokenizer_digest_; }

 protected:
  // Starts a service of the fleet; its address.
  std::string StartService(const std::string& program, std::vector<std::string> arguments);
  // Starts the runner with these arguments beside the registry and the work folder.
  void StartRunnerWith(const std::vector<std::string>& arguments);
  const std::string& registry_address() const { return registry_address_; }
  const std::filesystem::path& folder() const { return dir_.path(); }

  static std::shared_ptr<grpc::Channel> Channel(const std::string& address);

 private:
  test::ChildProcess Start(const std::string& program, std::vector<std::string> arguments);
  void FillRegistry();

  test::TempDir dir_;
  const std::string dsn_;
  std::string registry_address_;
  std::string trainer_address_;
  std::string dataset_digest_;
  std::string tokenizer_digest_;
  std::vector<test::ChildProcess> services_;  // end before the folder goes
  test::ChildProcess runner_;
};

}  // namespace floe::trainer
