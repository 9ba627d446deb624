// What re-indexing reads and writes in Postgres (schema `retrieval`).
#pragma once

#include "base/postgres/pool.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

// Thread-safe. Borrows the pool.
class PostgresReindexTables final : public ReindexTables {
 public:
  explicit PostgresReindexTables(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<CollectionName>> Names(bool with_target) override;
  absl::StatusOr<std::vector<PendingDocument>> Pending(const Collection& collection,
                                                       int limit) override;
  absl::Status AddTargetChunks(const Collection& collection, const Document& document,
                               const std::vector<IndexedChunk>& chunks) override;
  absl::StatusOr<bool> Promote(const Collection& collection) override;
  absl::Status SetError(const Collection& collection, const std::string& error) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::retrieval
