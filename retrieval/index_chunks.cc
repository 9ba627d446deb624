#include "retrieval/index_chunks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "retrieval/chunker.h"

namespace floe::retrieval {
namespace {

// Of one call to a worker: enough to fill its steps, little enough to be done in a second or two.
constexpr size_t kMaxSequences = 64;
constexpr size_t kMaxTokens = 8192;

// A chunk often does not say itself what it is about: its heading is embedded with it.
std::vector<tokenizer::TokenId> IdsOf(const Chunk& chunk, const EmbeddingModel& model) {
  std::vector<tokenizer::TokenId> ids = model.tokenizer->Encode(
      chunk.heading.empty() ? chunk.text : absl::StrCat(chunk.heading, "\n", chunk.text));
  ids.resize(std::min(ids.size(), static_cast<size_t>(model.context)));
  return ids;
}

}  // namespace

absl::StatusOr<std::vector<IndexedChunk>> CutForIndex(const NewDocument& document,
                                                      const EmbeddingModel& model,
                                                      const IndexSettings& settings) {
  FLOE_ASSIGN_OR_RETURN(
      std::vector<Chunk> chunks,
      ChunksOf(document, *model.tokenizer, {settings.chunk_tokens, settings.overlap_tokens}));
  std::vector<IndexedChunk> indexed(chunks.size());
  for (size_t i = 0; i < chunks.size(); ++i) indexed[i].chunk = std::move(chunks[i]);
  return indexed;
}

absl::Status EmbedChunks(Embedder& embedder, const Caller& caller, const EmbeddingModel& model,
                         std::vector<std::vector<IndexedChunk>*> documents,
                         const std::function<absl::Status()>& go_on) {
  std::vector<IndexedChunk*> batch;
  std::vector<std::vector<tokenizer::TokenId>> sequences;
  size_t tokens = 0;
  const auto send = [&]() -> absl::Status {
    if (batch.empty()) return absl::OkStatus();
    FLOE_RETURN_IF_ERROR(go_on());
    FLOE_ASSIGN_OR_RETURN(auto vectors, embedder.Embed(caller, model.digest, sequences));
    if (vectors.size() != batch.size()) {
      return absl::InternalError(absl::StrCat("a worker gave ", vectors.size(), " embeddings for ",
                                              batch.size(), " sequences"));
    }
    for (size_t i = 0; i < batch.size(); ++i) batch[i]->vector = std::move(vectors[i]);
    batch.clear();
    sequences.clear();
    tokens = 0;
    return absl::OkStatus();
  };
  for (std::vector<IndexedChunk>* chunks : documents) {
    for (IndexedChunk& chunk : *chunks) {
      std::vector<tokenizer::TokenId> ids = IdsOf(chunk.chunk, model);
      if (batch.size() == kMaxSequences || tokens + ids.size() > kMaxTokens) {
        FLOE_RETURN_IF_ERROR(send());
      }
      tokens += ids.size();
      batch.push_back(&chunk);
      sequences.push_back(std::move(ids));
    }
  }
  return send();
}

}  // namespace floe::retrieval
