// floe-retrieval in this process: the real service over a real Postgres, behind real gRPC channels;
// a registry that knows two models, and workers whose embeddings a test can foretell.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "retrieval/postgres/collections.h"
#include "retrieval/postgres/documents.h"
#include "retrieval/postgres/reindex_tables.h"
#include "retrieval/postgres/search_tables.h"
#include "services/registry/client/registry_client.h"
#include "services/retrieval/registry_models.h"
#include "services/retrieval/retrieval_rpc.h"
#include "services/retrieval/workers.h"
#include "tests/support/temp_dir.h"

namespace floe::retrieval {

// Team `nlp` has `hamlet` and `othello`, of a context of 512 and a tokenizer of bytes with ChatML's
// special tokens at 256, 257 and 258. Thread-safe.
class FakeRegistry final : public registry::v1::RegistryService::Service,
                           public registry::v1::BlobService::Service {
 public:
  void Add(const std::string& model, const registry::v1::ModelVersion& version,
           std::map<std::string, std::string> blobs);
  // The team has it no longer.
  void Remove(const std::string& model);

  grpc::Status ResolveModelVersion(grpc::ServerContext* context,
                                   const registry::v1::ResolveModelVersionRequest* request,
                                   registry::v1::ModelVersion* answer) override;
  grpc::Status DownloadBlob(
      grpc::ServerContext* context, const registry::v1::DownloadBlobRequest* request,
      grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) override;

 private:
  std::mutex mutex_;
  std::map<std::string, registry::v1::ModelVersion> versions_;  // guarded by mutex_
  std::map<std::string, std::string> blobs_;                    // guarded by mutex_
};

// Embeds by FakeEmbedder's formula. Scores an id -1 when it stands in the ids before score_from,
// else -5: an answer whose bytes are in the prompt is likelier. Thread-safe.
class FakeWorker final : public inference::v1::InferenceService::Service {
 public:
  grpc::Status Embed(grpc::ServerContext* context, const inference::v1::EmbedRequest* request,
                     inference::v1::EmbedResponse* answer) override;
  grpc::Status Score(grpc::ServerContext* context, const inference::v1::ScoreRequest* request,
                     inference::v1::ScoreResponse* answer) override;

  // What every call answers while it is not OK.
  void SetStatus(grpc::Status status);
  int calls() const;
  std::vector<std::string> prompts() const;  // of Score: the bytes before score_from

 private:
  mutable std::mutex mutex_;
  grpc::Status status_;               // guarded by mutex_
  int calls_ = 0;                     // guarded by mutex_
  std::vector<std::string> prompts_;  // guarded by mutex_
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest();
  ~ServiceTest() override;

  // Calls one method as `team`.
  template <typename Request, typename Answer>
  absl::Status Call(grpc::Status (v1::RetrievalService::Stub::*method)(grpc::ClientContext*,
                                                                       const Request&, Answer*),
                    const Request& request, Answer& answer, const std::string& team = "nlp") {
    grpc::ClientContext context;
    Prepare(context, team);
    return StatusOf(((*stub_).*method)(&context, request, &answer));
  }
  static void Prepare(grpc::ClientContext& context, const std::string& team);
  static absl::Status StatusOf(const grpc::Status& status);

  v1::Collection Create(const std::string& id);
  v1::IngestDocumentsResponse Store(const std::string& collection,
                                    const std::map<std::string, std::string>& documents);
  absl::StatusOr<v1::SearchResponse> Find(const std::string& collection, const std::string& query,
                                          int top_k = 4, const std::string& team = "nlp");
  v1::Collection Get(const std::string& id);

  test::TempDir dir_;
  SystemClock clock_;
  FakeRegistry registry_;
  FakeWorker workers_[2];

 private:
  // A version whose manifest and tokenizer are real, published under `model`.
  void Publish(const std::string& model, float spread);

  UlidGenerator ids_{clock_};
  runtime::Logger logger_{"retrieval", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "retrieval.floe"}};
  std::unique_ptr<postgres::Pool> pool_;
  std::vector<std::unique_ptr<grpc::Server>> servers_;
  std::unique_ptr<registry::RegistryClient> client_;
  std::unique_ptr<RegistryModels> models_;
  std::unique_ptr<Workers> worker_calls_;
  std::unique_ptr<PostgresCollections> collections_;
  std::unique_ptr<PostgresDocuments> documents_;
  std::unique_ptr<PostgresSearchTables> tables_;
  std::unique_ptr<PostgresReindexTables> reindex_tables_;
  std::unique_ptr<Indexes> indexes_;
  std::unique_ptr<ManageCollections> manage_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Search> search_;
  std::unique_ptr<Evaluate> evaluate_;
  std::unique_ptr<Reindex> reindex_;
  std::unique_ptr<ReindexLoop> loop_;
  std::unique_ptr<RetrievalRpc> rpc_;
  std::unique_ptr<v1::RetrievalService::Stub> stub_;
};

}  // namespace floe::retrieval
