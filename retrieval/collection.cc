#include "retrieval/collection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::retrieval {

absl::Status Validate(const IndexSettings& settings, int64_t context) {
  if (settings.embedding_model.empty()) {
    return absl::InvalidArgumentError(
        "embedding_model is missing; name a model of the team, as hamlet or hamlet@3");
  }
  const int64_t most = std::min<int64_t>(kMaxChunkTokens, context);
  if (settings.chunk_tokens < kMinChunkTokens || settings.chunk_tokens > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "chunk_tokens is ", settings.chunk_tokens, "; write ", kMinChunkTokens, " to ", most,
        " (the context of ", settings.embedding_model, " is ", context, " tokens)"));
  }
  if (settings.overlap_tokens < 0 || settings.overlap_tokens > settings.chunk_tokens / 2) {
    return absl::InvalidArgumentError(absl::StrCat("overlap_tokens is ", settings.overlap_tokens,
                                                   "; write 0 to ", settings.chunk_tokens / 2,
                                                   ", half of chunk_tokens"));
  }
  return absl::OkStatus();
}

std::string Collection::etag() const { return absl::StrCat("v", version); }

absl::StatusOr<Collection> Updated(Collection collection, const CollectionUpdate& update) {
  if (!update.etag.empty() && update.etag != collection.etag()) {
    return WithReason(
        absl::AbortedError(absl::StrCat(ToString(collection.name), " has changed: its etag is ",
                                        collection.etag(), ", not ", update.etag.substr(0, 40),
                                        "; read it again and repeat the change")),
        "ETAG_MISMATCH");
  }
  ++collection.version;
  if (update.description) collection.description = *update.description;
  if (!update.settings) return collection;
  if (update.settings->SameIndex(collection.settings)) {
    collection.settings = *update.settings;
    collection.target.reset();
  } else if (!collection.target || !update.settings->SameIndex(collection.target->settings)) {
    collection.target = Target{++collection.last_generation, *update.settings, ""};
  } else {
    collection.target->settings = *update.settings;
  }
  return collection;
}

Collection Promoted(Collection collection) {
  collection.generation = collection.target->generation;
  collection.settings = std::move(collection.target->settings);
  collection.target.reset();
  ++collection.version;
  ++collection.revision;
  return collection;
}

}  // namespace floe::retrieval
