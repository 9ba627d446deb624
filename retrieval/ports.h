// What retrieval needs from outside: models that embed, tables for everything that lasts, and an
// index of vectors in memory.
//
// Stores are thread-safe. Every query is given the team whose resources it may see; use cases have
// checked that the caller belongs to it (caller.h). UNAVAILABLE: the database or the workers are
// away.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/page.h"
#include "retrieval/caller.h"
#include "retrieval/collection.h"
#include "retrieval/document.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::retrieval {

// A checkpoint as far as retrieval needs it.
struct EmbeddingModel {
  std::string digest;
  int64_t context = 0;                                    // most tokens of a sequence
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;  // shared with a cache
  // How it reads chats; an error where its template cannot be rendered, which embeddings do not
  // mind.
  absl::StatusOr<tokenizer::ChatTemplate> chat = tokenizer::ChatTemplate();
};

class EmbeddingModels {
 public:
  virtual ~EmbeddingModels() = default;
  // By what a person writes (`hamlet`, `hamlet@3`, `sha256:…`) and by the caller's team. NOT_FOUND;
  // FAILED_PRECONDITION when the version has no tokenizer.
  virtual absl::StatusOr<EmbeddingModel> Resolve(const Caller& caller,
                                                 const std::string& reference) = 0;
};

class Embedder {
 public:
  virtual ~Embedder() = default;
  // One vector of length 1 for each sequence, in order; none of them is empty.
  virtual absl::StatusOr<std::vector<std::vector<float>>> Embed(
      const Caller& caller, const std::string& digest,
      const std::vector<std::vector<tokenizer::TokenId>>& sequences) = 0;
};

class CollectionStore {
 public:
  virtual ~CollectionStore() = default;
  using Change = std::function<absl::StatusOr<Collection>(Collection)>;

  // ALREADY_EXISTS (COLLECTION_EXISTS); INVALID_ARGUMENT for a language that the database does not
  // know. A repeated request gives the collection that the first one made.
  virtual absl::StatusOr<Collection> Create(const RequestKey& request,
                                            const Collection& collection) = 0;
  virtual absl::StatusOr<Collection> Get(const CollectionName& name) = 0;
  virtual absl::StatusOr<Listed<Collection>> List(const std::string& team, const Page& page) = 0;
  // Reads, changes and writes under a lock. Chunks of generations that are neither searched nor the
  // target's go. A repeated request changes nothing.
  virtual absl::StatusOr<Collection> Update(const RequestKey& request, const CollectionName& name,
                                            const Change& change, absl::Time now) = 0;
  virtual absl::Status Delete(const RequestKey& request, const CollectionName& name,
                              absl::Time now) = 0;
};

class DocumentStore {
 public:
  virtual ~DocumentStore() = default;

  // Those of the ids that exist, without an order.
  virtual absl::StatusOr<std::vector<Document>> Find(const Collection& collection,
                                                     const std::vector<std::string>& ids) = 0;
  // Stores all of them in one transaction, each in place of everything that its id had. ABORTED
  // (INDEX_CHANGED) when the collection's searched generation is no longer `collection.generation`.
  // A repeated request changes nothing.
  virtual absl::Status Replace(const RequestKey& request, const Collection& collection,
                               const std::vector<IndexedDocument>& documents, absl::Time now) = 0;
  virtual absl::StatusOr<Document> Get(const DocumentName& name) = 0;
  virtual absl::StatusOr<Listed<Document>> List(const CollectionName& collection,
                                                const Page& page) = 0;
  // Bytes [begin, end) of the content; `end` 0 is the end. OUT_OF_RANGE beyond it.
  struct Piece {
    std::string bytes;
    std::string digest;  // of the whole document
  };
  virtual absl::StatusOr<Piece> Read(const DocumentName& name, int64_t begin, int64_t end) = 0;
  virtual absl::Status Delete(const RequestKey& request, const DocumentName& name,
                              absl::Time now) = 0;
  virtual absl::StatusOr<Listed<Chunk>> ListChunks(const DocumentName& name, const Page& page) = 0;
};

// A chunk with its document.
struct FoundChunk {
  int64_t id = 0;
  DocumentName document;
  Chunk chunk;
};

struct StoredVector {
  int64_t id = 0;  // the chunk's
  std::vector<float> values;
};

// What of a collection is searched at one moment.
struct IndexState {
  int64_t generation = 0;
  int64_t revision = 0;
  std::vector<int64_t> chunk_ids;  // ascending
};

class SearchTables {
 public:
  virtual ~SearchTables() = default;
  // Chunk ids of the collection's generation by full-text rank, best first, at most `limit`.
  virtual absl::StatusOr<std::vector<int64_t>> RankByText(const Collection& collection,
                                                          const std::string& query, int limit) = 0;
  // Those of the ids that the collection's generation has, without an order.
  virtual absl::StatusOr<std::vector<FoundChunk>> Load(const Collection& collection,
                                                       const std::vector<int64_t>& ids) = 0;
  virtual absl::StatusOr<IndexState> State(const CollectionName& name) = 0;
  // Vectors of those of the ids that exist.
  virtual absl::StatusOr<std::vector<StoredVector>> Vectors(const CollectionName& name,
                                                            std::span<const int64_t> ids) = 0;
};

// A document that has no chunks of its collection's target yet.
struct PendingDocument {
  Document document;
  NewDocument content;
};

// For re-indexing, over all teams: the service's own work.
class ReindexTables {
 public:
  virtual ~ReindexTables() = default;
  // Names of all collections, or of those with a target.
  virtual absl::StatusOr<std::vector<CollectionName>> Names(bool with_target) = 0;
  virtual absl::StatusOr<std::vector<PendingDocument>> Pending(const Collection& collection,
                                                               int limit) = 0;
  // Stores chunks of the target. A document that was replaced or deleted meanwhile, or a target
  // that is no longer wanted, is passed over.
  virtual absl::Status AddTargetChunks(const Collection& collection, const Document& document,
                                       const std::vector<IndexedChunk>& chunks) = 0;
  // Makes the target what is searched, when no document is pending; false when one is.
  virtual absl::StatusOr<bool> Promote(const Collection& collection) = 0;
  // Why the target does not get on; empty: it does.
  virtual absl::Status SetError(const Collection& collection, const std::string& error) = 0;
};

struct Neighbour {
  int64_t id = 0;
  float cosine = 0;
};

// Vectors of length 1 in memory. Searching is thread-safe beside searching; changes exclude
// everything else.
class VectorIndex {
 public:
  virtual ~VectorIndex() = default;
  // `id` is new to the index. RESOURCE_EXHAUSTED when memory is.
  virtual absl::Status Add(int64_t id, std::span<const float> vector) = 0;
  // `id` is in the index; it is never added again.
  virtual void Remove(int64_t id) = 0;
  // The nearest, nearest first, at most `count`.
  virtual std::vector<Neighbour> Nearest(std::span<const float> query, int count) const = 0;
};

using MakeVectorIndex = std::function<std::unique_ptr<VectorIndex>(size_t dimensions)>;

}  // namespace floe::retrieval
