#include "tests/services/registry/registry_fixture.h"

#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/postgres/migrations.h"
#include "base/sha256.h"
#include "registry/blobs/layout.h"
#include "registry/postgres/migrations_sql.h"
#include "services/runtime/status.h"

namespace floe::registry {

RegistryTest::RegistryTest() {
  auto pool = postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  EXPECT_TRUE(pool.ok()) << pool.status();
  pool_ = *std::move(pool);
  const absl::Status migrated = postgres::Migrate(*pool_, "registry", Migrations());
  EXPECT_TRUE(migrated.ok()) << migrated;
  auto store = FolderStore::Open(dir_ / "blobs");
  EXPECT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
  index_ = std::make_unique<PostgresBlobIndex>(*pool_);
  artifacts_ = std::make_unique<PostgresArtifacts>(*pool_);
  models_ = std::make_unique<PostgresModels>(*pool_);
  access_ = std::make_unique<BlobAccess>(*store_, *index_, clock_);
  publish_ = std::make_unique<registry::Publish>(
      registry::Publish::Parts{*store_, *index_, *artifacts_, *models_, clock_});
  promote_ = std::make_unique<Promote>(*models_, clock_);
  evaluations_ = std::make_unique<PostgresEvaluations>(*pool_);
  gates_ = std::make_unique<PostgresGates>(*pool_);
  attest_ = std::make_unique<Attest>(Attest::Parts{*evaluations_, *gates_, *artifacts_, clock_});
  registry_rpc_ = std::make_unique<RegistryRpc>(RegistryRpc::Parts{calls_, *publish_, *promote_,
                                                                   *artifacts_, *models_, *attest_,
                                                                   *evaluations_, *gates_, clock_});
  blob_rpc_ = std::make_unique<BlobRpc>(calls_, *access_);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(registry_rpc_.get());
  builder.RegisterService(blob_rpc_.get());
  server_ = builder.BuildAndStart();
  channel_ =
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  registry_ = v1::RegistryService::NewStub(channel_);
  blobs_ = v1::BlobService::NewStub(channel_);
  client_ = std::make_unique<RegistryClient>(channel_);
}

RegistryTest::~RegistryTest() {
  server_->Shutdown();
  server_->Wait();
}

runtime::OutgoingCall RegistryTest::As(const std::string& team) {
  auto call = runtime::OutgoingCall::Own("test", absl::Minutes(2));
  call.identity.team = team;
  call.identity.role = "developer";
  call.identity.key_id = "key-1";
  return call;
}

absl::Status RegistryTest::StatusOf(const grpc::Status& status) {
  return runtime::FromGrpcStatus(status);
}

std::string RegistryTest::Upload(const std::string& bytes, const std::string& team) {
  const auto blob = client_->UploadBytes(As(team), bytes);
  EXPECT_TRUE(blob.ok()) << blob.status();
  return blob.ok() ? blob->digest() : "";
}

model::Manifest RegistryTest::ManifestOf(const std::map<std::string, std::string>& files,
                                         const model::Parents& parents) {
  model::Manifest manifest;
  manifest.blueprint.vocab_size = 64;
  manifest.blueprint.hidden_size = 16;
  manifest.blueprint.num_layers = 1;
  manifest.blueprint.num_heads = 2;
  manifest.blueprint.num_kv_heads = 1;
  manifest.blueprint.head_dim = 8;
  manifest.blueprint.ffn_hidden = 32;
  manifest.blueprint.context = 32;
  manifest.parents = parents;
  for (const auto& [name, bytes] : files) {
    manifest.files[name] = {Sha256::Hex(bytes), bytes.size()};
  }
  return manifest;
}

absl::StatusOr<v1::ModelVersion> RegistryTest::Publish(const std::string& model,
                                                       const std::string& weights,
                                                       const model::Parents& parents,
                                                       const std::string& team) {
  const std::map<std::string, std::string> files = {{"config.json", "{}"},
                                                    {"model.safetensors", weights}};
  for (const auto& [name, bytes] : files) Upload(bytes, team);
  v1::CreateModelVersionRequest request;
  request.set_parent(absl::StrCat("teams/", team, "/models/", model));
  request.mutable_model_version()->set_manifest(ManifestOf(files, parents).Serialize());
  return client_->CreateModelVersion(As(team), request);
}

absl::StatusOr<v1::Alias> RegistryTest::SetAlias(const std::string& model, const std::string& alias,
                                                 int64_t version, const std::string& etag,
                                                 const std::string& request_id) {
  v1::SetAliasRequest request;
  request.set_name(absl::StrCat("teams/nlp/models/", model, "/aliases/", alias));
  request.set_version(absl::StrCat("teams/nlp/models/", model, "/versions/", version));
  request.set_etag(etag);
  request.set_reason("because");
  request.set_request_id(request_id);
  v1::Alias answer;
  const absl::Status status =
      Call(*registry_, &v1::RegistryService::Stub::SetAlias, request, answer);
  if (!status.ok()) return status;
  return answer;
}

absl::Status RegistryTest::Delete(const std::string& version, const std::string& request_id) {
  v1::DeleteModelVersionRequest request;
  request.set_name(version);
  request.set_request_id(request_id);
  v1::DeleteModelVersionResponse answer;
  return Call(*registry_, &v1::RegistryService::Stub::DeleteModelVersion, request, answer);
}

absl::StatusOr<v1::ModelVersion> RegistryTest::Resolve(const std::string& reference,
                                                       const std::string& team) {
  return client_->ResolveModelVersion(As(team), absl::StrCat("teams/", team), reference);
}

std::filesystem::path RegistryTest::BlobFile(const std::string& digest) const {
  return BlobPath(dir_ / "blobs", digest);
}

void RegistryTest::Damage(const std::string& digest) const {
  const std::filesystem::path path = BlobFile(digest);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0) << path;
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const int first = file.get();
  file.seekp(0);
  file.put(static_cast<char>(first ^ 1));
  ASSERT_TRUE(file.flush()) << path;
}

std::vector<std::string> RegistryTest::Unfinished() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "blobs" / "uploads")) {
    names.push_back(entry.path().filename());
  }
  return names;
}

int64_t RegistryTest::StoredFiles() {
  int64_t count = 0;
  EXPECT_TRUE(store_
                  ->ForEach([&](const Blob&, absl::Time) {
                    ++count;
                    return absl::OkStatus();
                  })
                  .ok());
  return count;
}

}  // namespace floe::registry
