#include "services/retrieval/service.h"

#include <memory>

#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "retrieval/hnsw/hnsw_index.h"
#include "retrieval/postgres/collections.h"
#include "retrieval/postgres/documents.h"
#include "retrieval/postgres/migrations_sql.h"
#include "retrieval/postgres/reindex_tables.h"
#include "retrieval/postgres/search_tables.h"
#include "services/registry/client/registry_client.h"
#include "services/retrieval/registry_models.h"
#include "services/retrieval/retrieval_rpc.h"
#include "services/retrieval/workers.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"

namespace floe::retrieval {
namespace {

absl::Status CheckOptions(const ServiceOptions& options) {
  if (options.database_url.empty()) {
    return absl::InvalidArgumentError(
        "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
  }
  if (options.registry.empty()) {
    return absl::InvalidArgumentError("registry is missing: give --registry host:port");
  }
  if (options.workers.empty()) {
    return absl::InvalidArgumentError(
        "workers is missing: give --workers host:port of floe-inference, which embeds");
  }
  if (options.max_indexes < 1 || options.reindex_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "max-indexes must be at least 1 and reindex-interval positive");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> WorkerChannels(
    const ServiceOptions& options) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const std::string& address : options.workers) {
    FLOE_ASSIGN_OR_RETURN(channels.emplace_back(), runtime::MakeChannel(address, options.common.tls,
                                                                        options.common.insecure));
  }
  return channels;
}

}  // namespace

void AddOptions(ServiceOptions& options, runtime::Config& config) {
  config.AddCommon(options.common);
  config.AddSecret("database-url", options.database_url, "Postgres connection string");
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.Add("workers", options.workers, "Addresses of floe-inference workers, for embeddings");
  config.Add("max-indexes", options.max_indexes, "Collections whose vectors stay in memory");
  config.Add("reindex-interval", options.reindex_interval,
             "How often to look for collections that another process wants indexed anew");
  config.AddCheck([&options] { return CheckOptions(options); });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(
      auto host, runtime::Host::Create("retrieval", options.common, config, {{"gateway", {"*"}}}));
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-retrieval"}));
  FLOE_RETURN_IF_ERROR(postgres::Migrate(*pool, "retrieval", Migrations()));
  if (options.common.migrate_only) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(
      auto registry_channel,
      runtime::MakeChannel(options.registry, options.common.tls, options.common.insecure));
  FLOE_ASSIGN_OR_RETURN(const auto worker_channels, WorkerChannels(options));

  registry::RegistryClient registry(registry_channel);
  RegistryModels models(registry, host->clock());
  Workers workers(worker_channels);
  PostgresCollections collections(*pool);
  PostgresDocuments documents(*pool);
  PostgresSearchTables tables(*pool);
  PostgresReindexTables reindex_tables(*pool);
  Indexes indexes(tables, [](size_t dimensions) { return MakeHnswIndex(dimensions); },
                  {.max_collections = static_cast<size_t>(options.max_indexes)});
  ManageCollections manage(collections, models, host->clock());
  Ingest ingest(collections, documents, models, workers, host->clock());
  Search search(collections, tables, indexes, models, workers);
  Evaluate evaluate(search, models, workers);
  Reindex reindex(collections, reindex_tables, models, workers);
  ReindexLoop loop({reindex, indexes, collections, reindex_tables, host->ids(), host->logger(),
                    options.reindex_interval});
  RetrievalRpc rpc({host->calls(), manage, ingest, search, evaluate, collections, documents, loop,
                    host->clock()});
  host->AddReadyCheck("postgres", [&] { return pool->Ping(); });
  loop.Start();
  return host->Serve({&rpc});
}

}  // namespace floe::retrieval
