// What a search reads in Postgres: full-text ranks, chunks, vectors (schema `retrieval`).
#pragma once

#include "base/postgres/pool.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

// Thread-safe. Borrows the pool.
class PostgresSearchTables final : public SearchTables {
 public:
  explicit PostgresSearchTables(postgres::Pool& pool) : pool_(pool) {}

  // A chunk's score is the sum over the query's words of ts_rank times the word's rarity in the
  // collection (the inverse document frequency of BM25): ts_rank alone takes the common words of a
  // question for as telling as the rare ones. Any of the words is enough to be a candidate,
  // but one that has less than a fifth of the best score is none: in a fusion of rankings its place
  // would count as much as any.
  absl::StatusOr<std::vector<int64_t>> RankByText(const Collection& collection,
                                                  const std::string& query, int limit) override;
  absl::StatusOr<std::vector<FoundChunk>> Load(const Collection& collection,
                                               const std::vector<int64_t>& ids) override;
  absl::StatusOr<IndexState> State(const CollectionName& name) override;
  absl::StatusOr<std::vector<StoredVector>> Vectors(const CollectionName& name,
                                                    std::span<const int64_t> ids) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::retrieval
