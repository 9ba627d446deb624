// The index of blobs in Postgres (schema `registry`).
#pragma once

#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows the pool.
class PostgresBlobIndex final : public BlobIndex {
 public:
  explicit PostgresBlobIndex(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Entry> Find(std::string_view team, std::string_view digest) override;
  absl::Status Add(std::string_view team, const Blob& blob, absl::Time now, Action place) override;
  absl::Status MarkDamaged(std::string_view digest, absl::Time now) override;
  absl::StatusOr<std::vector<Blob>> Unreferenced(absl::Time before, std::string_view after,
                                                 int limit) override;
  absl::StatusOr<bool> Forget(std::string_view digest, absl::Time before, Action remove) override;
  absl::Status ForgetRequests(absl::Time before) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::registry
