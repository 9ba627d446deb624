// Invoices and FOCUS rows from usage in Postgres.
#pragma once

#include <functional>
#include <string_view>

#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`. An issued invoice is computed again from the same rows each time:
// they never change, and which invoice bears a row is decided by billing_month() of the migrations.
class PostgresInvoiceStore final : public InvoiceStore {
 public:
  explicit PostgresInvoiceStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Invoice> Get(std::string_view team, absl::CivilMonth month) override;
  absl::StatusOr<Invoice> Issue(std::string_view team, absl::CivilMonth month,
                                absl::Time now) override;
  absl::Status ExportFocus(std::string_view team, absl::CivilMonth month,
                           const std::function<void(std::string_view line)>& take) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::billing
