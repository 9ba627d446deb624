// Use case: the passages of a collection that answer a query best, with their citations.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "retrieval/indexes.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

inline constexpr int kDefaultTopK = 4;
inline constexpr int kMaxTopK = 50;
inline constexpr size_t kMaxQueryBytes = 16 << 10;

// Document, index, begin and end of the chunk are what is cited.
struct Passage {
  DocumentName document;
  Chunk chunk;
  double score = 0;
  int text_rank = 0;    // from 1; 0: not among the candidates
  int vector_rank = 0;  // likewise
  float cosine = 0;     // when vector_rank is not 0
};

struct Found {
  std::vector<Passage> passages;  // best first
  std::string embedding_digest;
};

// Thread-safe. Borrows its parts.
class Search {
 public:
  Search(CollectionStore& collections, SearchTables& tables, Indexes& indexes,
         EmbeddingModels& models, Embedder& embedder)
      : collections_(collections),
        tables_(tables),
        indexes_(indexes),
        models_(models),
        embedder_(embedder) {}

  // `top_k` 0 is kDefaultTopK. A query that is longer than the model's context is embedded by its
  // beginning.
  absl::StatusOr<Found> Run(const Caller& caller, const CollectionName& name,
                            const std::string& query, int top_k);

 private:
  absl::StatusOr<Found> Once(const Caller& caller, const Collection& collection,
                             const std::string& query, int top_k);

  CollectionStore& collections_;
  SearchTables& tables_;
  Indexes& indexes_;
  EmbeddingModels& models_;
  Embedder& embedder_;
};

}  // namespace floe::retrieval
