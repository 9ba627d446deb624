// floe-registry as a process, on a database of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "services/registry/client/registry_client.h"
#include "tests/support/child_process.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

// Started and serving, or the test dies. Main thread only (see ChildProcess). Acts as a developer
// of team nlp.
class RegistryProcess {
 public:
  RegistryProcess();

  const std::string& address() const { return address_; }
  // The next version of `model`; its digest.
  std::string Publish(const std::string& model, const std::filesystem::path& checkpoint);
  // What `floe models promote` asks for.
  absl::Status Promote(const std::string& model, int version);

 private:
  test::TempDir dir_;
  test::ChildProcess process_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;  // shared with the client
  std::unique_ptr<registry::RegistryClient> client_;
};

}  // namespace floe::gateway
