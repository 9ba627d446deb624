// Use case: documents come in, in place of what stood under their ids before.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

inline constexpr size_t kMaxDocuments = 256;               // of one call
inline constexpr size_t kMaxContentBytes = 8 * (1 << 20);  // of all of them

struct Ingested {
  std::vector<Document> documents;  // in the order in which they were given
  int unchanged = 0;                // were there with the same bytes
};

// Thread-safe. Borrows its parts.
class Ingest {
 public:
  Ingest(CollectionStore& collections, DocumentStore& documents, EmbeddingModels& models,
         Embedder& embedder, const Clock& clock)
      : collections_(collections),
        documents_(documents),
        models_(models),
        embedder_(embedder),
        clock_(clock) {}

  // All of the documents are stored or none. INVALID_ARGUMENT names what is wrong; `go_on` is asked
  // between pieces of the work, and its error ends it.
  absl::StatusOr<Ingested> Run(const Caller& caller, const RequestKey& request,
                               const CollectionName& name,
                               const std::vector<NewDocument>& documents,
                               const std::function<absl::Status()>& go_on);

 private:
  absl::StatusOr<Ingested> Attempt(const Caller& caller, const RequestKey& request,
                                   const CollectionName& name,
                                   const std::vector<NewDocument>& documents,
                                   const std::function<absl::Status()>& go_on);

  CollectionStore& collections_;
  DocumentStore& documents_;
  EmbeddingModels& models_;
  Embedder& embedder_;
  const Clock& clock_;
};

}  // namespace floe::retrieval
