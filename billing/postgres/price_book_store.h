// Price books in Postgres.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`.
class PostgresPriceBookStore final : public PriceBookStore {
 public:
  explicit PostgresPriceBookStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<BookRecord> Insert(const BookRecord& book, const std::string& request_id) override;
  absl::StatusOr<BookRecord> Get(std::string_view id) override;
  absl::StatusOr<BookRecord> Effective(absl::Time time) override;
  absl::StatusOr<std::vector<BookRecord>> List(int limit, int64_t offset) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::billing
