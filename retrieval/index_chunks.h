// From a document to what the index holds of it: chunks, each with its vector.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retrieval/ports.h"

namespace floe::retrieval {

// Chunks of one document by these settings and this model. INVALID_ARGUMENT as ChunksOf says. Pure.
absl::StatusOr<std::vector<IndexedChunk>> CutForIndex(const NewDocument& document,
                                                      const EmbeddingModel& model,
                                                      const IndexSettings& settings);

// Fills in the vectors of all chunks of all documents, each with its heading, in calls of a bounded
// size. `go_on` is asked
// between calls, and its error ends the work.
absl::Status EmbedChunks(Embedder& embedder, const Caller& caller, const EmbeddingModel& model,
                         std::vector<std::vector<IndexedChunk>*> documents,
                         const std::function<absl::Status()>& go_on);

}  // namespace floe::retrieval
