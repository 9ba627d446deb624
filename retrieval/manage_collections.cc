#include "retrieval/manage_collections.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace floe::retrieval {
namespace {

constexpr size_t kMaxModelBytes = 200;
constexpr size_t kMaxLanguageBytes = 63;

// A reference that nobody gave is its own error; others are the registry's.
absl::StatusOr<EmbeddingModel> ResolveModel(EmbeddingModels& models, const Caller& caller,
                                            const std::string& reference) {
  FLOE_RETURN_IF_ERROR(CheckText("embedding_model", reference, kMaxModelBytes));
  if (reference.empty()) {
    return absl::InvalidArgumentError(
        "embedding_model is missing; name a model of the team, as hamlet or hamlet@3");
  }
  return models.Resolve(caller, reference);
}

}  // namespace

absl::StatusOr<Collection> ManageCollections::Create(const Caller& caller,
                                                     const RequestKey& request,
                                                     const CollectionDraft& draft) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, draft.name.team, ToString(draft.name)));
  FLOE_RETURN_IF_ERROR(CheckId("collection_id", draft.name.id));
  FLOE_RETURN_IF_ERROR(CheckText("description", draft.description, kMaxDescriptionBytes));
  FLOE_RETURN_IF_ERROR(CheckText("language", draft.language, kMaxLanguageBytes));
  FLOE_ASSIGN_OR_RETURN(const EmbeddingModel model,
                        ResolveModel(models_, caller, draft.embedding_model));
  Collection collection;
  collection.name = draft.name;
  collection.description = draft.description;
  if (!draft.language.empty()) collection.language = draft.language;
  IndexSettings& settings = collection.settings;
  settings.embedding_model = draft.embedding_model;
  settings.embedding_digest = model.digest;
  settings.chunk_tokens =
      draft.chunk_tokens != 0
          ? draft.chunk_tokens
          : static_cast<int>(std::min<int64_t>(kDefaultChunkTokens, model.context));
  settings.overlap_tokens =
      draft.overlap_tokens != 0 ? draft.overlap_tokens : settings.chunk_tokens / 8;
  FLOE_RETURN_IF_ERROR(Validate(settings, model.context));
  collection.create_time = clock_.Now();
  return store_.Create(request, collection);
}

absl::StatusOr<Collection> ManageCollections::Update(const Caller& caller,
                                                     const RequestKey& request,
                                                     const CollectionName& name,
                                                     const CollectionPatch& patch) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, name.team, ToString(name)));
  if (patch.description) {
    FLOE_RETURN_IF_ERROR(CheckText("description", *patch.description, kMaxDescriptionBytes));
  }
  FLOE_ASSIGN_OR_RETURN(const Collection now, store_.Get(name));
  CollectionUpdate update;
  update.description = patch.description;
  update.etag = patch.etag;
  if (patch.embedding_model || patch.chunk_tokens || patch.overlap_tokens) {
    // What is wanted already is the ground for what is wanted besides.
    IndexSettings settings = now.target ? now.target->settings : now.settings;
    if (patch.chunk_tokens) settings.chunk_tokens = *patch.chunk_tokens;
    if (patch.overlap_tokens) settings.overlap_tokens = *patch.overlap_tokens;
    if (patch.embedding_model) settings.embedding_model = *patch.embedding_model;
    FLOE_ASSIGN_OR_RETURN(
        const EmbeddingModel model,
        ResolveModel(models_, caller,
                     patch.embedding_model ? settings.embedding_model
                                           : "sha256:" + settings.embedding_digest));
    settings.embedding_digest = model.digest;
    FLOE_RETURN_IF_ERROR(Validate(settings, model.context));
    update.settings = std::move(settings);
    // The settings were made from what was read: nothing may have changed in between.
    if (update.etag.empty()) update.etag = now.etag();
  }
  return store_.Update(
      request, name, [&](Collection collection) { return Updated(std::move(collection), update); },
      clock_.Now());
}

absl::Status ManageCollections::Delete(const Caller& caller, const RequestKey& request,
                                       const CollectionName& name) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, name.team, ToString(name)));
  return store_.Delete(request, name, clock_.Now());
}

}  // namespace floe::retrieval
