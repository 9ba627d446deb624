// floe.retrieval.v1.RetrievalService: protobuf in, use case, protobuf out.
#pragma once

#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "retrieval/ingest.h"
#include "retrieval/manage_collections.h"
#include "retrieval/search.h"
#include "services/retrieval/evaluate.h"
#include "services/retrieval/reindex_loop.h"
#include "services/runtime/call.h"

namespace floe::retrieval {

// Thread-safe. Borrows its parts.
class RetrievalRpc final : public v1::RetrievalService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    ManageCollections& manage;
    retrieval::Ingest& ingest;
    retrieval::Search& search;
    retrieval::Evaluate& evaluate;
    CollectionStore& collections;
    DocumentStore& documents;
    ReindexLoop& reindex;
    const Clock& clock;
  };
  explicit RetrievalRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status CreateCollection(grpc::ServerContext* context,
                                const v1::CreateCollectionRequest* request,
                                v1::Collection* answer) override;
  grpc::Status GetCollection(grpc::ServerContext* context, const v1::GetCollectionRequest* request,
                             v1::Collection* answer) override;
  grpc::Status ListCollections(grpc::ServerContext* context,
                               const v1::ListCollectionsRequest* request,
                               v1::ListCollectionsResponse* answer) override;
  grpc::Status UpdateCollection(grpc::ServerContext* context,
                                const v1::UpdateCollectionRequest* request,
                                v1::Collection* answer) override;
  grpc::Status DeleteCollection(grpc::ServerContext* context,
                                const v1::DeleteCollectionRequest* request,
                                v1::DeleteCollectionResponse* answer) override;
  grpc::Status IngestDocuments(grpc::ServerContext* context,
                               const v1::IngestDocumentsRequest* request,
                               v1::IngestDocumentsResponse* answer) override;
  grpc::Status GetDocument(grpc::ServerContext* context, const v1::GetDocumentRequest* request,
                           v1::Document* answer) override;
  grpc::Status ListDocuments(grpc::ServerContext* context, const v1::ListDocumentsRequest* request,
                             v1::ListDocumentsResponse* answer) override;
  grpc::Status ReadDocument(grpc::ServerContext* context, const v1::ReadDocumentRequest* request,
                            v1::ReadDocumentResponse* answer) override;
  grpc::Status DeleteDocument(grpc::ServerContext* context,
                              const v1::DeleteDocumentRequest* request,
                              v1::DeleteDocumentResponse* answer) override;
  grpc::Status ListChunks(grpc::ServerContext* context, const v1::ListChunksRequest* request,
                          v1::ListChunksResponse* answer) override;
  grpc::Status Search(grpc::ServerContext* context, const v1::SearchRequest* request,
                      v1::SearchResponse* answer) override;
  grpc::Status EvaluateCollection(grpc::ServerContext* context,
                                  const v1::EvaluateCollectionRequest* request,
                                  v1::EvaluateCollectionResponse* answer) override;

 private:
  const Parts parts_;
};

}  // namespace floe::retrieval
