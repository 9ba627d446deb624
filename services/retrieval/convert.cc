#include "services/retrieval/convert.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "services/runtime/proto_time.h"

namespace floe::retrieval {
namespace {

v1::Document::Format ToProto(Format format) {
  switch (format) {
    case Format::kMarkdown:
      return v1::Document::MARKDOWN;
    case Format::kJsonl:
      return v1::Document::JSONL;
    case Format::kText:
      break;
  }
  return v1::Document::TEXT;
}

Format FromProto(v1::Document::Format format) {
  if (format == v1::Document::MARKDOWN) return Format::kMarkdown;
  return format == v1::Document::JSONL ? Format::kJsonl : Format::kText;
}

}  // namespace

Caller CallerOf(const runtime::CallContext& call) {
  const runtime::CallIdentity& identity = call.identity();
  return {.team = identity.team,
          .actor = identity.key_id.empty() ? "service" : identity.key_id,
          .role = identity.role,
          .request_id = identity.request_id,
          .traceparent = identity.trace.ToHeader(),
          .deadline = call.deadline()};
}

v1::Collection ToProto(const Collection& collection) {
  v1::Collection out;
  out.set_name(ToString(collection.name));
  out.set_description(collection.description);
  // What was asked for last: the target's settings, where there is one; the digest is what serves.
  const IndexSettings& wanted =
      collection.target ? collection.target->settings : collection.settings;
  out.set_embedding_model(wanted.embedding_model);
  out.set_embedding_digest(collection.settings.embedding_digest);
  out.set_chunk_tokens(wanted.chunk_tokens);
  out.set_overlap_tokens(wanted.overlap_tokens);
  out.set_language(collection.language);
  out.set_state(collection.target ? v1::Collection::REINDEXING : v1::Collection::READY);
  if (collection.target) out.set_error(collection.target->error);
  out.set_document_count(collection.documents);
  out.set_chunk_count(collection.chunks);
  out.set_pending_document_count(collection.pending);
  out.set_etag(collection.etag());
  *out.mutable_create_time() = runtime::ToProto(collection.create_time);
  return out;
}

v1::Document ToProto(const Document& document) {
  v1::Document out;
  out.set_name(ToString(document.name));
  out.set_title(document.title);
  out.set_format(ToProto(document.format));
  out.set_source(document.source);
  out.set_digest(document.digest);
  out.set_size_bytes(document.size_bytes);
  out.set_chunk_count(document.chunks);
  *out.mutable_update_time() = runtime::ToProto(document.update_time);
  return out;
}

v1::Chunk ToProto(const DocumentName& document, const Chunk& chunk) {
  v1::Chunk out;
  out.set_document(ToString(document));
  out.set_index(chunk.index);
  out.set_begin(chunk.begin);
  out.set_end(chunk.end);
  out.set_heading(chunk.heading);
  out.set_text(chunk.text);
  out.set_tokens(chunk.tokens);
  return out;
}

v1::SearchResponse::Passage ToProto(const Passage& passage) {
  v1::SearchResponse::Passage out;
  *out.mutable_chunk() = ToProto(passage.document, passage.chunk);
  out.set_score(passage.score);
  out.set_text_rank(passage.text_rank);
  out.set_vector_rank(passage.vector_rank);
  out.set_cosine(passage.cosine);
  return out;
}

v1::EvaluateCollectionResponse ToProto(const EvaluationResult& result) {
  v1::EvaluateCollectionResponse out;
  for (const AnswerScore& score : result.scores) {
    auto& added = *out.add_scores();
    added.set_answer_tokens(score.answer_tokens);
    added.set_log_likelihood_without(score.without);
    added.set_log_likelihood_with(score.with);
    for (const Passage& passage : score.passages) {
      v1::SearchResponse::Passage& given = *added.add_passages();
      given = ToProto(passage);
      given.mutable_chunk()->clear_text();
    }
  }
  out.set_model_digest(result.model_digest);
  return out;
}

NewDocument FromProto(const v1::IngestDocumentsRequest::NewDocument& document) {
  return {document.document_id(), document.title(), FromProto(document.format()), document.source(),
          document.content()};
}

absl::StatusOr<CollectionPatch> PatchOf(const v1::UpdateCollectionRequest& request) {
  const v1::Collection& collection = request.collection();
  CollectionPatch patch;
  patch.etag = collection.etag();
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "description") {
      patch.description = collection.description();
    } else if (path == "embedding_model") {
      patch.embedding_model = collection.embedding_model();
    } else if (path == "chunk_tokens") {
      patch.chunk_tokens = collection.chunk_tokens();
    } else if (path == "overlap_tokens") {
      patch.overlap_tokens = collection.overlap_tokens();
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("update_mask has \"", path.substr(0, 80),
                       "\"; description, embedding_model, chunk_tokens and overlap_tokens can be "
                       "changed"));
    }
  }
  if (request.update_mask().paths().empty()) {
    return absl::InvalidArgumentError(
        "update_mask is empty; name the fields to change, as description or embedding_model");
  }
  return patch;
}

}  // namespace floe::retrieval
