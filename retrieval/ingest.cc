#include "retrieval/ingest.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "retrieval/index_chunks.h"

namespace floe::retrieval {
namespace {

// An index that is promoted while documents are embedded for the old one makes them come again;
// that happens once a re-indexing.
constexpr int kMaxAttempts = 3;

absl::Status CheckAll(const std::vector<NewDocument>& documents) {
  if (documents.empty() || documents.size() > kMaxDocuments) {
    return absl::InvalidArgumentError(
        absl::StrCat("documents has ", documents.size(), " entries; send 1 to ", kMaxDocuments));
  }
  size_t bytes = 0;
  std::set<std::string> ids;
  for (const NewDocument& document : documents) {
    FLOE_RETURN_IF_ERROR(Validate(document));
    bytes += document.content.size();
    if (!ids.insert(document.id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("document_id ", document.id, " is there twice; an id is one document"));
    }
  }
  if (bytes > kMaxContentBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the documents have ", bytes, " bytes; send at most ", kMaxContentBytes, " a call"));
  }
  return absl::OkStatus();
}

bool Same(const Document& stored, const NewDocument& document, const std::string& digest) {
  return stored.digest == digest && stored.title == document.title &&
         stored.format == document.format && stored.source == document.source;
}

}  // namespace

absl::StatusOr<Ingested> Ingest::Run(const Caller& caller, const RequestKey& request,
                                     const CollectionName& name,
                                     const std::vector<NewDocument>& documents,
                                     const std::function<absl::Status()>& go_on) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, name.team, ToString(name)));
  FLOE_RETURN_IF_ERROR(CheckAll(documents));
  for (int attempt = 1;; ++attempt) {
    auto ingested = Attempt(caller, request, name, documents, go_on);
    if (!absl::IsAborted(ingested.status()) || attempt == kMaxAttempts) return ingested;
  }
}

absl::StatusOr<Ingested> Ingest::Attempt(const Caller& caller, const RequestKey& request,
                                         const CollectionName& name,
                                         const std::vector<NewDocument>& documents,
                                         const std::function<absl::Status()>& go_on) {
  FLOE_ASSIGN_OR_RETURN(const Collection collection, collections_.Get(name));
  std::vector<std::string> ids;
  for (const NewDocument& document : documents) ids.push_back(document.id);
  FLOE_ASSIGN_OR_RETURN(const std::vector<Document> before, documents_.Find(collection, ids));
  std::map<std::string, const Document*> known;
  for (const Document& document : before) known[document.name.id] = &document;

  Ingested result;
  std::vector<IndexedDocument> changed;
  for (const NewDocument& document : documents) {
    std::string digest = Sha256::Hex(document.content);
    const auto found = known.find(document.id);
    if (found != known.end() && Same(*found->second, document, digest)) {
      ++result.unchanged;
    } else {
      changed.push_back({document, std::move(digest), {}});
    }
  }
  if (!changed.empty()) {
    FLOE_ASSIGN_OR_RETURN(
        const EmbeddingModel model,
        models_.Resolve(caller, "sha256:" + collection.settings.embedding_digest));
    std::vector<std::vector<IndexedChunk>*> chunks;
    for (IndexedDocument& document : changed) {
      FLOE_ASSIGN_OR_RETURN(document.chunks,
                            CutForIndex(document.document, model, collection.settings));
      chunks.push_back(&document.chunks);
    }
    FLOE_RETURN_IF_ERROR(EmbedChunks(embedder_, caller, model, std::move(chunks), go_on));
  }
  // A request that changes nothing is remembered too: sent again later, it must undo nothing.
  if (!changed.empty() || !request.id.empty()) {
    FLOE_RETURN_IF_ERROR(documents_.Replace(request, collection, changed, clock_.Now()));
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<Document> after, documents_.Find(collection, ids));
  std::map<std::string, Document*> stored;
  for (Document& document : after) stored[document.name.id] = &document;
  for (const NewDocument& document : documents) {
    const auto found = stored.find(document.id);
    // Deleted since: also what a request that is repeated later finds.
    if (found == stored.end()) return NotFound(ToString(DocumentName{name, document.id}));
    result.documents.push_back(std::move(*found->second));
  }
  return result;
}

}  // namespace floe::retrieval
