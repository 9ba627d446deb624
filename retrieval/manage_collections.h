// Use case: collections are made, changed and deleted.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

struct CollectionDraft {
  CollectionName name;
  std::string description;
  std::string embedding_model;
  int chunk_tokens = 0;    // 0: the default, or the whole context of a model that has less
  int overlap_tokens = 0;  // 0: an eighth of chunk_tokens
  std::string language;    // empty: english
};

// What is not set stays.
struct CollectionPatch {
  std::optional<std::string> description;
  std::optional<std::string> embedding_model;
  std::optional<int> chunk_tokens;
  std::optional<int> overlap_tokens;
  std::string etag;
};

// Thread-safe. Borrows its parts.
class ManageCollections {
 public:
  ManageCollections(CollectionStore& store, EmbeddingModels& models, const Clock& clock)
      : store_(store), models_(models), clock_(clock) {}

  // Resolves the embedding model, to which the collection is pinned from then on.
  absl::StatusOr<Collection> Create(const Caller& caller, const RequestKey& request,
                                    const CollectionDraft& draft);

  // An embedding model that is named again is resolved again. See Updated() for what follows.
  absl::StatusOr<Collection> Update(const Caller& caller, const RequestKey& request,
                                    const CollectionName& name, const CollectionPatch& patch);

  absl::Status Delete(const Caller& caller, const RequestKey& request, const CollectionName& name);

 private:
  CollectionStore& store_;
  EmbeddingModels& models_;
  const Clock& clock_;
};

}  // namespace floe::retrieval
