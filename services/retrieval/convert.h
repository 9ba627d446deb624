// Between floe.retrieval.v1 and the domain.
#pragma once

#include "absl/status/statusor.h"

#include "floe/retrieval/v1/retrieval.pb.h"
#include "retrieval/manage_collections.h"
#include "retrieval/search.h"
#include "services/retrieval/evaluate.h"
#include "services/runtime/call.h"

namespace floe::retrieval {

// Who calls, until when. The actor is the key's id; a service on its own behalf is `service`.
Caller CallerOf(const runtime::CallContext& call);

v1::Collection ToProto(const Collection& collection);
v1::Document ToProto(const Document& document);
v1::Chunk ToProto(const DocumentName& document, const Chunk& chunk);
v1::SearchResponse::Passage ToProto(const Passage& passage);
// Passages without their text.
v1::EvaluateCollectionResponse ToProto(const EvaluationResult& result);

NewDocument FromProto(const v1::IngestDocumentsRequest::NewDocument& document);

// INVALID_ARGUMENT names the path of the mask that cannot be changed, or says that it is empty.
absl::StatusOr<CollectionPatch> PatchOf(const v1::UpdateCollectionRequest& request);

}  // namespace floe::retrieval
