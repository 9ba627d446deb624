#include "services/retrieval/retrieval_rpc.h"

#include <string>
#include <utility>

#include "base/sha256.h"
#include "base/status_macros.h"
#include "services/retrieval/convert.h"

namespace floe::retrieval {
namespace {

using absl::Status;
using runtime::CallContext;

constexpr size_t kMaxRequestIdBytes = 200;

// The requests of this package have no maps: equal ones have equal bytes.
template <typename Request>
absl::StatusOr<RequestKey> KeyOf(const Request& request) {
  FLOE_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), kMaxRequestIdBytes));
  return RequestKey{request.request_id(), Request::descriptor()->name(),
                    Sha256::Hex(request.SerializeAsString())};
}

// A name whose team is the caller's, or a service that sees all.
absl::StatusOr<CollectionName> OwnCollection(const CallContext& call, const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(CollectionName name, ParseCollection(text));
  FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.team, text));
  return name;
}

absl::StatusOr<DocumentName> OwnDocument(const CallContext& call, const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(DocumentName name, ParseDocument(text));
  FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.collection.team, text));
  return name;
}

// Ends work for a caller who has left.
std::function<Status()> WhileWanted(const CallContext& call) {
  return [&call]() -> Status {
    if (!call.cancelled()) return absl::OkStatus();
    if (call.time_left() <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          "the deadline passed and nothing was stored; send fewer documents or allow more time");
    }
    return absl::CancelledError("the caller left");
  };
}

}  // namespace

grpc::Status RetrievalRpc::CreateCollection(grpc::ServerContext* context,
                                            const v1::CreateCollectionRequest* request,
                                            v1::Collection* answer) {
  return parts_.calls.Run(*context, "retrieval.CreateCollection", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    CollectionDraft draft;
    FLOE_ASSIGN_OR_RETURN(draft.name.team, ParseTeam(request->parent()));
    draft.name.id = request->collection_id();
    draft.description = request->collection().description();
    draft.embedding_model = request->collection().embedding_model();
    draft.chunk_tokens = request->collection().chunk_tokens();
    draft.overlap_tokens = request->collection().overlap_tokens();
    draft.language = request->collection().language();
    FLOE_ASSIGN_OR_RETURN(const Collection collection,
                          parts_.manage.Create(CallerOf(call), key, draft));
    *answer = ToProto(collection);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::GetCollection(grpc::ServerContext* context,
                                         const v1::GetCollectionRequest* request,
                                         v1::Collection* answer) {
  return parts_.calls.Run(*context, "retrieval.GetCollection", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const CollectionName name, OwnCollection(call, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Collection collection, parts_.collections.Get(name));
    *answer = ToProto(collection);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::ListCollections(grpc::ServerContext* context,
                                           const v1::ListCollectionsRequest* request,
                                           v1::ListCollectionsResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.ListCollections", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const std::string team, ParseTeam(request->parent()));
    FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), team, request->parent()));
    const std::string list = request->parent() + "/collections";
    FLOE_ASSIGN_OR_RETURN(const Page page,
                          ParsePage(list, request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(const auto listed, parts_.collections.List(team, page));
    for (const Collection& one : listed.items) *answer->add_collections() = ToProto(one);
    answer->set_next_page_token(PageToken(list, listed.next));
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::UpdateCollection(grpc::ServerContext* context,
                                            const v1::UpdateCollectionRequest* request,
                                            v1::Collection* answer) {
  return parts_.calls.Run(*context, "retrieval.UpdateCollection", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    FLOE_ASSIGN_OR_RETURN(const CollectionName name,
                          OwnCollection(call, request->collection().name()));
    FLOE_ASSIGN_OR_RETURN(const CollectionPatch patch, PatchOf(*request));
    FLOE_ASSIGN_OR_RETURN(const Collection collection,
                          parts_.manage.Update(CallerOf(call), key, name, patch));
    parts_.reindex.Wake();
    *answer = ToProto(collection);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::DeleteCollection(grpc::ServerContext* context,
                                            const v1::DeleteCollectionRequest* request,
                                            v1::DeleteCollectionResponse*) {
  return parts_.calls.Run(*context, "retrieval.DeleteCollection", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    FLOE_ASSIGN_OR_RETURN(const CollectionName name, OwnCollection(call, request->name()));
    return parts_.manage.Delete(CallerOf(call), key, name);
  });
}

grpc::Status RetrievalRpc::IngestDocuments(grpc::ServerContext* context,
                                           const v1::IngestDocumentsRequest* request,
                                           v1::IngestDocumentsResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.IngestDocuments", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    FLOE_ASSIGN_OR_RETURN(const CollectionName name, OwnCollection(call, request->parent()));
    std::vector<NewDocument> documents;
    for (const auto& document : request->documents()) documents.push_back(FromProto(document));
    FLOE_ASSIGN_OR_RETURN(const Ingested ingested, parts_.ingest.Run(CallerOf(call), key, name,
                                                                     documents, WhileWanted(call)));
    for (const Document& one : ingested.documents) *answer->add_documents() = ToProto(one);
    answer->set_unchanged(ingested.unchanged);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::GetDocument(grpc::ServerContext* context,
                                       const v1::GetDocumentRequest* request,
                                       v1::Document* answer) {
  return parts_.calls.Run(*context, "retrieval.GetDocument", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const DocumentName name, OwnDocument(call, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Document document, parts_.documents.Get(name));
    *answer = ToProto(document);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::ListDocuments(grpc::ServerContext* context,
                                         const v1::ListDocumentsRequest* request,
                                         v1::ListDocumentsResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.ListDocuments", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const CollectionName name, OwnCollection(call, request->parent()));
    const std::string list = request->parent() + "/documents";
    FLOE_ASSIGN_OR_RETURN(const Page page,
                          ParsePage(list, request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(const auto listed, parts_.documents.List(name, page));
    for (const Document& one : listed.items) *answer->add_documents() = ToProto(one);
    answer->set_next_page_token(PageToken(list, listed.next));
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::ReadDocument(grpc::ServerContext* context,
                                        const v1::ReadDocumentRequest* request,
                                        v1::ReadDocumentResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.ReadDocument", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const DocumentName name, OwnDocument(call, request->name()));
    FLOE_ASSIGN_OR_RETURN(DocumentStore::Piece piece,
                          parts_.documents.Read(name, request->begin(), request->end()));
    answer->set_content(std::move(piece.bytes));
    answer->set_digest(std::move(piece.digest));
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::DeleteDocument(grpc::ServerContext* context,
                                          const v1::DeleteDocumentRequest* request,
                                          v1::DeleteDocumentResponse*) {
  return parts_.calls.Run(*context, "retrieval.DeleteDocument", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    FLOE_ASSIGN_OR_RETURN(const DocumentName name, OwnDocument(call, request->name()));
    return parts_.documents.Delete(key, name, parts_.clock.Now());
  });
}

grpc::Status RetrievalRpc::ListChunks(grpc::ServerContext* context,
                                      const v1::ListChunksRequest* request,
                                      v1::ListChunksResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.ListChunks", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const DocumentName name, OwnDocument(call, request->parent()));
    const std::string list = request->parent() + "/chunks";
    FLOE_ASSIGN_OR_RETURN(const Page page,
                          ParsePage(list, request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(const auto listed, parts_.documents.ListChunks(name, page));
    for (const Chunk& one : listed.items) *answer->add_chunks() = ToProto(name, one);
    answer->set_next_page_token(PageToken(list, listed.next));
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::Search(grpc::ServerContext* context, const v1::SearchRequest* request,
                                  v1::SearchResponse* answer) {
  return parts_.calls.Run(*context, "retrieval.Search", [&](CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const CollectionName name, ParseCollection(request->collection()));
    FLOE_ASSIGN_OR_RETURN(const Found found, parts_.search.Run(CallerOf(call), name,
                                                               request->query(), request->top_k()));
    for (const Passage& one : found.passages) *answer->add_passages() = ToProto(one);
    answer->set_embedding_digest(found.embedding_digest);
    return absl::OkStatus();
  });
}

grpc::Status RetrievalRpc::EvaluateCollection(grpc::ServerContext* context,
                                              const v1::EvaluateCollectionRequest* request,
                                              v1::EvaluateCollectionResponse* answer) {
  return parts_.calls.Run(
      *context, "retrieval.EvaluateCollection", [&](CallContext& call) -> Status {
        Evaluation evaluation;
        FLOE_ASSIGN_OR_RETURN(evaluation.collection, OwnCollection(call, request->collection()));
        evaluation.model = request->model();
        evaluation.top_k = request->top_k();
        evaluation.prompt = request->prompt() == v1::EvaluateCollectionRequest::TEXT
                                ? PromptKind::kText
                                : PromptKind::kChat;
        for (const auto& one : request->questions()) {
          evaluation.questions.push_back({one.question(), one.answer()});
        }
        FLOE_ASSIGN_OR_RETURN(const EvaluationResult result,
                              parts_.evaluate.Run(CallerOf(call), evaluation, WhileWanted(call)));
        *answer = ToProto(result);
        return absl::OkStatus();
      });
}

}  // namespace floe::retrieval
