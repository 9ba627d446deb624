#include "services/billing/run.h"

#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "billing/postgres/budget_store.h"
#include "billing/postgres/invoice_store.h"
#include "billing/postgres/migrations_sql.h"
#include "billing/postgres/price_book_store.h"
#include "billing/postgres/report_store.h"
#include "billing/postgres/slice_store.h"
#include "billing/postgres/training_cost_store.h"
#include "billing/postgres/usage_store.h"
#include "services/billing/budget_rpc.h"
#include "services/billing/price_book_rpc.h"
#include "services/billing/report_rpc.h"
#include "services/billing/usage_rpc.h"
#include "services/runtime/host.h"

namespace floe::services::billing {

namespace domain = floe::billing;

void AddOptions(runtime::Config& config, ServiceOptions& options) {
  config.AddCommon(options.common);
  config.AddSecret("database-url", options.database_url, "Postgres connection string");
  config.Add("database-connections", options.database_connections,
             "How many connections to Postgres at most");
  config.AddCheck([&options]() -> absl::Status {
    if (options.database_url.empty()) {
      return absl::InvalidArgumentError(
          "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
    }
    if (options.database_connections < 1 || options.database_connections > 256) {
      return absl::InvalidArgumentError("database-connections must be 1 to 256");
    }
    return absl::OkStatus();
  });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("billing", options.common, config));
  FLOE_ASSIGN_OR_RETURN(auto pool,
                        postgres::Pool::Create({.dsn = options.database_url,
                                                .application_name = "floe-billing",
                                                .max_connections = options.database_connections}));
  FLOE_RETURN_IF_ERROR(postgres::Migrate(*pool, "billing", domain::Migrations()));
  if (options.common.migrate_only) return absl::OkStatus();

  domain::PostgresPriceBookStore book_store(*pool);
  domain::PostgresUsageStore usage_store(*pool);
  domain::PostgresBudgetStore budget_store(*pool, host->clock(), host->ids());
  domain::PostgresSliceStore slice_store(*pool, host->clock(), host->ids());
  domain::PostgresReportStore report_store(*pool);
  domain::PostgresInvoiceStore invoice_store(*pool);
  domain::PostgresTrainingCostStore training_store(*pool);
  domain::PriceBooks books(book_store, host->clock());
  domain::IngestUsage ingest(books, usage_store);

  UsageRpc usage(host->calls(), host->metrics(), ingest, usage_store);
  PriceBookRpc price_books({host->calls(), host->clock(), books, book_store, ingest});
  QuoteRpc quotes(host->calls(), host->clock(), books);
  BudgetRpc budgets({host->calls(), host->clock(), budget_store, slice_store});
  ReportRpc reports({host->calls(), host->clock(), host->ids(), books, report_store, invoice_store,
                     training_store});
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  return host->Serve({&usage, &price_books, &quotes, &budgets, &reports});
}

}  // namespace floe::services::billing
