#include "retrieval/reindex.h"

#include <utility>

#include "base/status_macros.h"
#include "base/view.h"
#include "retrieval/index_chunks.h"

namespace floe::retrieval {
namespace {

constexpr int kBatchDocuments = 64;

}  // namespace

absl::StatusOr<ReindexReport> Reindex::Run(const Caller& service,
                                           const std::function<absl::Status()>& go_on) {
  ReindexReport report;
  FLOE_ASSIGN_OR_RETURN(const std::vector<CollectionName> names, tables_.Names(true));
  for (const CollectionName& name : names) {
    FLOE_RETURN_IF_ERROR(go_on());
    // On behalf of the collection's team: the model is one that this team may use.
    Caller caller = service;
    caller.team = name.team;
    const absl::Status status = One(caller, name, report, go_on);
    FLOE_RETURN_IF_ERROR(go_on());
    if (status.ok() || absl::IsNotFound(status)) continue;
    ++report.failed;
    const auto collection = collections_.Get(name);
    if (collection.ok() && collection->target) {
      FLOE_RETURN_IF_ERROR(tables_.SetError(*collection, std::string(StdView(status.message()))));
    }
  }
  return report;
}

absl::Status Reindex::One(const Caller& caller, const CollectionName& name, ReindexReport& report,
                          const std::function<absl::Status()>& go_on) {
  while (true) {
    FLOE_RETURN_IF_ERROR(go_on());
    const auto collection = collections_.Get(name);
    if (absl::IsNotFound(collection.status())) return absl::OkStatus();  // deleted meanwhile
    FLOE_RETURN_IF_ERROR(collection.status());
    if (!collection->target) return absl::OkStatus();  // another process was faster
    FLOE_ASSIGN_OR_RETURN(const auto pending, tables_.Pending(*collection, kBatchDocuments));
    if (!pending.empty()) {
      FLOE_RETURN_IF_ERROR(AddBatch(caller, *collection, pending, go_on));
      continue;
    }
    FLOE_ASSIGN_OR_RETURN(const bool promoted, tables_.Promote(*collection));
    if (!promoted) continue;
    ++report.promoted;
    return absl::OkStatus();
  }
}

absl::Status Reindex::AddBatch(const Caller& caller, const Collection& collection,
                               const std::vector<PendingDocument>& pending,
                               const std::function<absl::Status()>& go_on) {
  const IndexSettings& settings = collection.target->settings;
  auto model = models_.Resolve(caller, "sha256:" + settings.embedding_digest);
  if (absl::IsNotFound(model.status())) {
    // Not the collection's NOT_FOUND: it stays, with this as its error.
    return absl::FailedPreconditionError(model.status().message());
  }
  FLOE_RETURN_IF_ERROR(model.status());
  std::vector<std::vector<IndexedChunk>> indexed(pending.size());
  std::vector<std::vector<IndexedChunk>*> all;
  for (size_t i = 0; i < pending.size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(indexed[i], CutForIndex(pending[i].content, *model, settings));
    all.push_back(&indexed[i]);
  }
  FLOE_RETURN_IF_ERROR(EmbedChunks(embedder_, caller, *model, std::move(all), go_on));
  for (size_t i = 0; i < pending.size(); ++i) {
    FLOE_RETURN_IF_ERROR(tables_.AddTargetChunks(collection, pending[i].document, indexed[i]));
  }
  return absl::OkStatus();
}

}  // namespace floe::retrieval
