// Budget slices in Postgres. Every call that changes what is held takes the lock on the budget's
// period first, so that spent + held <= limit holds whatever runs at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows its parts.
class PostgresSliceStore final : public SliceStore {
 public:
  PostgresSliceStore(postgres::Pool& pool, const Clock& clock, IdGenerator& ids)
      : pool_(pool), clock_(clock), ids_(ids) {}

  absl::StatusOr<Slice> Acquire(const AcquireRequest& request) override;
  absl::StatusOr<Slice> Renew(std::string_view id, absl::Duration lease, Money additional) override;
  absl::StatusOr<Slice> Return(std::string_view id, Money spent) override;
  absl::StatusOr<Slice> WriteOff(std::string_view id, std::string_view reason) override;
  absl::StatusOr<std::vector<Slice>> List(std::string_view budget, bool held_only, int limit,
                                          int64_t offset) override;

 private:
  postgres::Pool& pool_;
  const Clock& clock_;
  IdGenerator& ids_;
};

}  // namespace floe::billing
