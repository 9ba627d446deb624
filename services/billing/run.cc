#include "services/billing/run.h"

#include "base/files.h"
#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "billing/postgres/budget_store.h"
#include "billing/postgres/invoice_store.h"
#include "billing/postgres/job_usage_store.h"
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
  config.Add("default-price-book", options.default_price_book,
             "YAML file, published as the book `default` when there is none");
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

namespace {

// Without any price nothing can be served, so a fleet may begin with a book of its installer's. In
// force from ever: it stands behind every other.
absl::Status EnsureAnyBook(const std::string& file, domain::PriceBookStore& store,
                           domain::PriceBooks& books) {
  if (file.empty()) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(const auto newest, store.List(1, 0));
  if (!newest.empty()) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(const std::string yaml, ReadFile(file));
  const auto made = books.Create({.id = "default",
                                  .yaml = yaml,
                                  .effective_time = absl::UnixEpoch(),
                                  .creator = "floe-billing",
                                  .request_id = "default-price-book"});
  return made.status();
}

// Workers report what they computed, queues what their jobs used; nobody but the gateway tells what
// is charged, and to whom.
runtime::PeerRules Peers() {
  return {{"gateway", {"*"}},
          {"inference", {"billing.IngestAttempts"}},
          {"trainer", {"billing.IngestJobUsage"}},
          {"alignment", {"billing.IngestJobUsage"}},
          {"tokenizer", {"billing.IngestJobUsage"}}};
}

}  // namespace

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host,
                        runtime::Host::Create("billing", options.common, config, Peers()));
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
  domain::PostgresJobUsageStore job_store(*pool);
  domain::PriceBooks books(book_store, host->clock());
  domain::IngestUsage ingest(books, usage_store);
  FLOE_RETURN_IF_ERROR(EnsureAnyBook(options.default_price_book, book_store, books));

  UsageRpc usage(host->calls(), host->metrics(), ingest, usage_store, job_store);
  PriceBookRpc price_books({host->calls(), host->clock(), books, book_store, ingest});
  QuoteRpc quotes(host->calls(), host->clock(), books);
  BudgetRpc budgets({host->calls(), host->clock(), budget_store, slice_store});
  ReportRpc reports({host->calls(), host->clock(), host->ids(), books, report_store, invoice_store,
                     training_store, job_store});
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  return host->Serve({&usage, &price_books, &quotes, &budgets, &reports});
}

}  // namespace floe::services::billing
