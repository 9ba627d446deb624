#include "retrieval/search.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "retrieval/fusion.h"

namespace floe::retrieval {
namespace {

// Of each ranking: more than are asked for, since what both find goes before what one finds.
constexpr int kCandidatesPerResult = 5;
constexpr int kMinCandidates = 40;
// A re-indexing that is finished in the middle of a search makes it begin again.
constexpr int kMaxAttempts = 3;

absl::Status Check(const std::string& query, int top_k) {
  FLOE_RETURN_IF_ERROR(CheckText("query", query, kMaxQueryBytes));
  if (query.find_first_not_of(" \t\r\n\f\v") == query.npos) {
    return absl::InvalidArgumentError("query is empty; write what is looked for");
  }
  if (top_k < 0 || top_k > kMaxTopK) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k is ", top_k, "; write 1 to ", kMaxTopK, ", or 0 for ", kDefaultTopK));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Found> Search::Run(const Caller& caller, const CollectionName& name,
                                  const std::string& query, int top_k) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, name.team, ToString(name)));
  FLOE_RETURN_IF_ERROR(Check(query, top_k));
  if (top_k == 0) top_k = kDefaultTopK;
  FLOE_ASSIGN_OR_RETURN(Collection collection, collections_.Get(name));
  for (int attempt = 1;; ++attempt) {
    FLOE_ASSIGN_OR_RETURN(Found found, Once(caller, collection, query, top_k));
    FLOE_ASSIGN_OR_RETURN(Collection now, collections_.Get(name));
    if (now.generation == collection.generation || attempt == kMaxAttempts) return found;
    collection = std::move(now);
  }
}

absl::StatusOr<Found> Search::Once(const Caller& caller, const Collection& collection,
                                   const std::string& query, int top_k) {
  Found found;
  found.embedding_digest = collection.settings.embedding_digest;
  if (collection.chunks == 0) return found;
  FLOE_ASSIGN_OR_RETURN(const EmbeddingModel model,
                        models_.Resolve(caller, "sha256:" + found.embedding_digest));
  std::vector<tokenizer::TokenId> ids = model.tokenizer->Encode(query);
  ids.resize(std::min(ids.size(), static_cast<size_t>(model.context)));
  FLOE_ASSIGN_OR_RETURN(const auto vectors,
                        embedder_.Embed(caller, model.digest, {std::move(ids)}));
  if (vectors.size() != 1) return absl::InternalError("a worker gave no embedding for the query");

  const int candidates = std::max(kMinCandidates, top_k * kCandidatesPerResult);
  std::array<std::vector<int64_t>, 2> rankings;
  FLOE_ASSIGN_OR_RETURN(rankings[0], tables_.RankByText(collection, query, candidates));
  FLOE_ASSIGN_OR_RETURN(const std::vector<Neighbour> neighbours,
                        indexes_.Nearest(collection, vectors[0], candidates));
  std::map<int64_t, float> cosines;
  for (const Neighbour& neighbour : neighbours) {
    rankings[1].push_back(neighbour.id);
    cosines[neighbour.id] = neighbour.cosine;
  }
  const std::vector<Fused> order = FuseRankings(rankings);
  // Some may have been deleted meanwhile: others take their places.
  std::vector<int64_t> wanted;
  for (const Fused& fused : order) wanted.push_back(fused.id);
  FLOE_ASSIGN_OR_RETURN(std::vector<FoundChunk> chunks, tables_.Load(collection, wanted));
  std::map<int64_t, FoundChunk*> loaded;
  for (FoundChunk& chunk : chunks) loaded[chunk.id] = &chunk;
  for (const Fused& fused : order) {
    if (static_cast<int>(found.passages.size()) == top_k) break;
    const auto at = loaded.find(fused.id);
    if (at == loaded.end()) continue;
    const auto cosine = cosines.find(fused.id);
    found.passages.push_back({std::move(at->second->document), std::move(at->second->chunk),
                              fused.score, fused.ranks[0], fused.ranks[1],
                              cosine == cosines.end() ? 0 : cosine->second});
  }
  return found;
}

}  // namespace floe::retrieval
