// Collections in Postgres (schema `retrieval`).
#pragma once

#include "base/postgres/pool.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

// Thread-safe. Borrows the pool.
class PostgresCollections final : public CollectionStore {
 public:
  explicit PostgresCollections(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Collection> Create(const RequestKey& request,
                                    const Collection& collection) override;
  absl::StatusOr<Collection> Get(const CollectionName& name) override;
  absl::StatusOr<Listed<Collection>> List(const std::string& team, const Page& page) override;
  absl::StatusOr<Collection> Update(const RequestKey& request, const CollectionName& name,
                                    const Change& change, absl::Time now) override;
  absl::Status Delete(const RequestKey& request, const CollectionName& name,
                      absl::Time now) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::retrieval
