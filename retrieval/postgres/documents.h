// Documents with their chunks and vectors in Postgres (schema `retrieval`).
#pragma once

#include "base/postgres/pool.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

// Thread-safe. Borrows the pool.
class PostgresDocuments final : public DocumentStore {
 public:
  explicit PostgresDocuments(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<Document>> Find(const Collection& collection,
                                             const std::vector<std::string>& ids) override;
  absl::Status Replace(const RequestKey& request, const Collection& collection,
                       const std::vector<IndexedDocument>& documents, absl::Time now) override;
  absl::StatusOr<Document> Get(const DocumentName& name) override;
  absl::StatusOr<Listed<Document>> List(const CollectionName& collection,
                                        const Page& page) override;
  absl::StatusOr<Piece> Read(const DocumentName& name, int64_t begin, int64_t end) override;
  absl::Status Delete(const RequestKey& request, const DocumentName& name, absl::Time now) override;
  absl::StatusOr<Listed<Chunk>> ListChunks(const DocumentName& name, const Page& page) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::retrieval
