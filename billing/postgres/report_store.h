// Reports over usage in Postgres.
#pragma once

#include <string_view>
#include <vector>

#include "base/postgres/pool.h"
#include "billing/ports.h"

namespace floe::billing {

// Thread-safe. Borrows `pool`.
class PostgresReportStore final : public ReportStore {
 public:
  explicit PostgresReportStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Report> Query(const ReportQuery& query) override;
  absl::StatusOr<ExplainedUsage> Explain(std::string_view team, std::string_view usage_id) override;
  absl::StatusOr<std::vector<WorkflowStep>> WorkflowSteps(std::string_view team,
                                                          std::string_view workflow) override;
  absl::StatusOr<VerifyReport> Verify(const VerifyQuery& query) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::billing
