#include "tests/services/retrieval/service_fixture.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/postgres/migrations.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "retrieval/hnsw/hnsw_index.h"
#include "retrieval/postgres/migrations_sql.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/retrieval/fakes.h"
#include "tests/support/postgres.h"

namespace floe::retrieval {
namespace {

std::string ChatTokenizerJson() {
  tokenizer::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  tokenizer::TokenId id = 256;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.emplace_back();
    vocabulary.added.push_back({id++, special});
  }
  return tokenizer::Tokenizer::Create(std::move(vocabulary)).value()->ToJson();
}

std::string TeamOf(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(runtime::kTeamKey);
  return found == context.client_metadata().end()
             ? ""
             : std::string(found->second.data(), found->second.size());
}

std::shared_ptr<grpc::Channel> Serve(std::vector<grpc::Service*> services,
                                     std::vector<std::unique_ptr<grpc::Server>>& servers) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  servers.push_back(builder.BuildAndStart());
  return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
}

}  // namespace

void FakeRegistry::Add(const std::string& model, const registry::v1::ModelVersion& version,
                       std::map<std::string, std::string> blobs) {
  const std::lock_guard lock(mutex_);
  versions_[model] = version;
  versions_["sha256:" + version.digest()] = version;
  blobs_.merge(std::move(blobs));
}

void FakeRegistry::Remove(const std::string& model) {
  const std::lock_guard lock(mutex_);
  versions_.erase("sha256:" + versions_[model].digest());
  versions_.erase(model);
}

grpc::Status FakeRegistry::ResolveModelVersion(
    grpc::ServerContext* context, const registry::v1::ResolveModelVersionRequest* request,
    registry::v1::ModelVersion* answer) {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(request->reference());
  if (found == versions_.end() || TeamOf(*context) != "nlp" || request->parent() != "teams/nlp") {
    return {grpc::StatusCode::NOT_FOUND, "no model " + request->reference()};
  }
  *answer = found->second;
  return grpc::Status::OK;
}

grpc::Status FakeRegistry::DownloadBlob(
    grpc::ServerContext*, const registry::v1::DownloadBlobRequest* request,
    grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find(request->digest());
  if (found == blobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no blob"};
  registry::v1::DownloadBlobResponse part;
  part.set_chunk(found->second.substr(static_cast<size_t>(request->offset())));
  writer->Write(part);
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Embed(grpc::ServerContext*, const inference::v1::EmbedRequest* request,
                               inference::v1::EmbedResponse* answer) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (!status_.ok()) return status_;
  for (const auto& sequence : request->sequences()) {
    std::string text;
    for (const uint32_t id : sequence.ids()) text += static_cast<char>(id);
    const auto vector = FakeEmbedder::VectorOf(request->checkpoint_digest(), text);
    answer->add_embeddings()->mutable_values()->Add(vector.begin(), vector.end());
  }
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Score(grpc::ServerContext*, const inference::v1::ScoreRequest* request,
                               inference::v1::ScoreResponse* answer) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (!status_.ok()) return status_;
  for (const auto& sequence : request->sequences()) {
    std::string prompt;
    std::set<uint32_t> known;
    auto& scores = *answer->add_scores();
    for (int i = 0; i < sequence.ids_size(); ++i) {
      if (i < sequence.score_from()) {
        known.insert(sequence.ids(i));
        if (sequence.ids(i) < 256) prompt += static_cast<char>(sequence.ids(i));
      } else {
        scores.add_log_probabilities(known.contains(sequence.ids(i)) ? -1 : -5);
      }
    }
    prompts_.push_back(std::move(prompt));
  }
  return grpc::Status::OK;
}

void FakeWorker::SetStatus(grpc::Status status) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

int FakeWorker::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<std::string> FakeWorker::prompts() const {
  const std::lock_guard lock(mutex_);
  return prompts_;
}

void ServiceTest::Publish(const std::string& model, float spread) {
  model::Blueprint blueprint = inference::TinyBlueprint(model::Family::kQwen3);
  blueprint.vocab_size = 259;
  blueprint.context = 512;
  const std::string json = ChatTokenizerJson();
  const std::filesystem::path folder = dir_ / model;
  const std::string digest =
      inference::WriteFormulaCheckpoint(folder, blueprint, spread, {{"tokenizer.json", json}});
  registry::v1::ModelVersion version;
  version.set_name(absl::StrCat("teams/nlp/models/", model, "/versions/1"));
  version.set_digest(digest);
  version.set_manifest(ReadFile(folder / model::kManifestFile).value_or(""));
  const auto manifest = model::Manifest::Parse(version.manifest());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  for (const auto& [name, entry] : manifest->files) {
    auto& file = *version.add_files();
    file.set_name(name);
    file.set_digest(entry.digest);
  }
  registry_.Add(model, version, {{Sha256::Hex(json), json}});
}

ServiceTest::ServiceTest() {
  auto pool = postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  EXPECT_TRUE(pool.ok()) << pool.status();
  pool_ = *std::move(pool);
  EXPECT_TRUE(postgres::Migrate(*pool_, "retrieval", Migrations()).ok());
  Publish("hamlet", 0.5f);
  Publish("othello", 0.25f);
  registry::v1::RegistryService::Service& names = registry_;
  registry::v1::BlobService::Service& blobs = registry_;
  client_ = std::make_unique<registry::RegistryClient>(Serve({&names, &blobs}, servers_));
  models_ = std::make_unique<RegistryModels>(*client_, clock_);
  const auto first = Serve({&workers_[0]}, servers_);
  const auto second = Serve({&workers_[1]}, servers_);
  worker_calls_ = std::make_unique<Workers>(std::vector{first, second});
  collections_ = std::make_unique<PostgresCollections>(*pool_);
  documents_ = std::make_unique<PostgresDocuments>(*pool_);
  tables_ = std::make_unique<PostgresSearchTables>(*pool_);
  reindex_tables_ = std::make_unique<PostgresReindexTables>(*pool_);
  indexes_ = std::make_unique<Indexes>(
      *tables_, [](size_t dimensions) { return MakeHnswIndex(dimensions); }, Indexes::Options());
  manage_ = std::make_unique<ManageCollections>(*collections_, *models_, clock_);
  ingest_ = std::make_unique<Ingest>(*collections_, *documents_, *models_, *worker_calls_, clock_);
  search_ = std::make_unique<Search>(*collections_, *tables_, *indexes_, *models_, *worker_calls_);
  evaluate_ = std::make_unique<Evaluate>(*search_, *models_, *worker_calls_);
  reindex_ = std::make_unique<Reindex>(*collections_, *reindex_tables_, *models_, *worker_calls_);
  loop_ = std::make_unique<ReindexLoop>(ReindexLoop::Parts{
      *reindex_, *indexes_, *collections_, *reindex_tables_, ids_, logger_, absl::Hours(1)});
  rpc_ = std::make_unique<RetrievalRpc>(RetrievalRpc::Parts{calls_, *manage_, *ingest_, *search_,
                                                            *evaluate_, *collections_, *documents_,
                                                            *loop_, clock_});
  stub_ = v1::RetrievalService::NewStub(Serve({rpc_.get()}, servers_));
  loop_->Start();
}

ServiceTest::~ServiceTest() {
  loop_->Stop();
  for (auto& server : servers_) server->Shutdown();
}

void ServiceTest::Prepare(grpc::ClientContext& context, const std::string& team) {
  auto call = runtime::OutgoingCall::Own("test", absl::Minutes(2));
  call.identity.team = team;
  call.identity.role = "developer";
  call.identity.key_id = "key-1";
  runtime::PrepareCall(context, call);
}

absl::Status ServiceTest::StatusOf(const grpc::Status& status) {
  return runtime::FromGrpcStatus(status);
}

v1::Collection ServiceTest::Create(const std::string& id) {
  v1::CreateCollectionRequest request;
  request.set_parent("teams/nlp");
  request.set_collection_id(id);
  request.mutable_collection()->set_embedding_model("hamlet");
  v1::Collection answer;
  const absl::Status status = Call(&v1::RetrievalService::Stub::CreateCollection, request, answer);
  EXPECT_TRUE(status.ok()) << status;
  return answer;
}

v1::IngestDocumentsResponse ServiceTest::Store(
    const std::string& collection, const std::map<std::string, std::string>& documents) {
  v1::IngestDocumentsRequest request;
  request.set_parent("teams/nlp/collections/" + collection);
  for (const auto& [id, content] : documents) {
    auto& document = *request.add_documents();
    document.set_document_id(id);
    document.set_content(content);
  }
  v1::IngestDocumentsResponse answer;
  const absl::Status status = Call(&v1::RetrievalService::Stub::IngestDocuments, request, answer);
  EXPECT_TRUE(status.ok()) << status;
  return answer;
}

absl::StatusOr<v1::SearchResponse> ServiceTest::Find(const std::string& collection,
                                                     const std::string& query, int top_k,
                                                     const std::string& team) {
  v1::SearchRequest request;
  request.set_collection("teams/nlp/collections/" + collection);
  request.set_query(query);
  request.set_top_k(top_k);
  v1::SearchResponse answer;
  const absl::Status status = Call(&v1::RetrievalService::Stub::Search, request, answer, team);
  if (!status.ok()) return status;
  return answer;
}

v1::Collection ServiceTest::Get(const std::string& id) {
  v1::GetCollectionRequest request;
  request.set_name("teams/nlp/collections/" + id);
  v1::Collection answer;
  const absl::Status status = Call(&v1::RetrievalService::Stub::GetCollection, request, answer);
  EXPECT_TRUE(status.ok()) << status;
  return answer;
}

}  // namespace floe::retrieval
