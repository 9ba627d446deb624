// floe-registry in this process: real Postgres, a real folder of blobs, both services behind a real
// gRPC channel.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/postgres/pool.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "model/checkpoint.h"
#include "registry/attest.h"
#include "registry/blob_access.h"
#include "registry/blobs/folder_store.h"
#include "registry/postgres/artifacts.h"
#include "registry/postgres/blob_index.h"
#include "registry/postgres/evidence.h"
#include "registry/postgres/models.h"
#include "registry/promote.h"
#include "registry/publish.h"
#include "services/registry/blob_rpc.h"
#include "services/registry/client/registry_client.h"
#include "services/registry/registry_rpc.h"
#include "services/runtime/call.h"
#include "services/runtime/client.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::registry {

class RegistryTest : public testing::Test {
 protected:
  RegistryTest();
  ~RegistryTest() override;

  // A call of `team` ("" is a service), which any test can wait for.
  static runtime::OutgoingCall As(const std::string& team);

  // Calls one method of the registry's or the blobs' stub as `team`.
  template <typename Stub, typename Request, typename Answer>
  absl::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Answer*),
                    const Request& request, Answer& answer, const std::string& team = "nlp") {
    grpc::ClientContext context;
    runtime::PrepareCall(context, As(team));
    return StatusOf((stub.*method)(&context, request, &answer));
  }
  static absl::Status StatusOf(const grpc::Status& status);

  // Sends `bytes` as a blob; its digest.
  std::string Upload(const std::string& bytes, const std::string& team = "nlp");
  // Publishes a checkpoint whose weights are `weights`; everything is uploaded before.
  absl::StatusOr<v1::ModelVersion> Publish(const std::string& model, const std::string& weights,
                                           const model::Parents& parents = {},
                                           const std::string& team = "nlp");
  absl::StatusOr<v1::Alias> SetAlias(const std::string& model, const std::string& alias,
                                     int64_t version, const std::string& etag = "",
                                     const std::string& request_id = "");
  absl::Status Delete(const std::string& version, const std::string& request_id = "");
  absl::StatusOr<v1::ModelVersion> Resolve(const std::string& reference,
                                           const std::string& team = "nlp");
  // The manifest of a small checkpoint with these files (name to bytes).
  static model::Manifest ManifestOf(const std::map<std::string, std::string>& files,
                                    const model::Parents& parents = {});

  std::filesystem::path BlobFile(const std::string& digest) const;
  // Changes one byte of a blob on disk, as a failing disk would.
  void Damage(const std::string& digest) const;
  // Names of what lies in the folder of unfinished uploads.
  std::vector<std::string> Unfinished() const;
  // How many files the store holds.
  int64_t StoredFiles();

  test::TempDir dir_;
  test::FakeClock clock_;
  test::FakeIds ids_;
  runtime::Logger logger_{"registry", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "registry.floe"}};
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<FolderStore> store_;
  std::unique_ptr<PostgresBlobIndex> index_;
  std::unique_ptr<PostgresArtifacts> artifacts_;
  std::unique_ptr<PostgresModels> models_;
  std::unique_ptr<BlobAccess> access_;
  std::unique_ptr<registry::Publish> publish_;
  std::unique_ptr<Promote> promote_;
  std::unique_ptr<PostgresEvaluations> evaluations_;
  std::unique_ptr<PostgresGates> gates_;
  std::unique_ptr<Attest> attest_;
  std::unique_ptr<RegistryRpc> registry_rpc_;
  std::unique_ptr<BlobRpc> blob_rpc_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;  // as gRPC hands it out
  std::unique_ptr<v1::RegistryService::Stub> registry_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
  std::unique_ptr<RegistryClient> client_;
};

}  // namespace floe::registry
