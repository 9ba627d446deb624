// Use case: collections whose settings have changed get their new index, while the old one serves.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retrieval/ports.h"

namespace floe::retrieval {

struct ReindexReport {
  int promoted = 0;  // collections whose new index is searched now
  int failed = 0;    // collections that did not get on; their error says why
};

// Safe in any number of processes at once. Borrows its parts.
class Reindex {
 public:
  Reindex(CollectionStore& collections, ReindexTables& tables, EmbeddingModels& models,
          Embedder& embedder)
      : collections_(collections), tables_(tables), models_(models), embedder_(embedder) {}

  // Works through all collections with a target, until each is promoted or has failed. `go_on` is
  // asked between pieces of the work, and its error ends it. What was done stays done.
  absl::StatusOr<ReindexReport> Run(const Caller& service,
                                    const std::function<absl::Status()>& go_on);

 private:
  absl::Status One(const Caller& caller, const CollectionName& name, ReindexReport& report,
                   const std::function<absl::Status()>& go_on);
  absl::Status AddBatch(const Caller& caller, const Collection& collection,
                        const std::vector<PendingDocument>& pending,
                        const std::function<absl::Status()>& go_on);

  CollectionStore& collections_;
  ReindexTables& tables_;
  EmbeddingModels& models_;
  Embedder& embedder_;
};

}  // namespace floe::retrieval
