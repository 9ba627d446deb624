#include "services/tokenizer/run.h"

#include <memory>
#include <utility>

#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/job_services.h"
#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"
#include "services/tokenizer/registry_tokenizers.h"
#include "services/tokenizer/tokenizer_cache.h"
#include "services/tokenizer/tokenizer_rpc.h"
#include "services/tokenizer/train_kind.h"

namespace floe::services::tokenizer {

void AddOptions(runtime::Config& config, ServiceOptions& options) {
  config.AddCommon(options.common);
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.AddSecret("database-url", options.database_url,
                   "Postgres connection string, for the queue of training jobs");
  jobs::AddQueueOptions(config, options.queue);
  config.Add("cached-tokenizers", options.cached_tokenizers, "How many tokenizers stay in memory");
  config.Add("batch-threads", options.batch_threads, "Threads of one batch call");
  config.AddCheck([&options]() -> absl::Status {
    if (options.registry.empty()) {
      return absl::InvalidArgumentError("registry is missing: give --registry host:port");
    }
    if (options.database_url.empty()) {
      return absl::InvalidArgumentError(
          "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
    }
    if (options.cached_tokenizers < 1 || options.cached_tokenizers > 1024) {
      return absl::InvalidArgumentError("cached-tokenizers must be 1 to 1024");
    }
    if (options.batch_threads < 1 || options.batch_threads > 64) {
      return absl::InvalidArgumentError("batch-threads must be 1 to 64");
    }
    return absl::OkStatus();
  });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(
      auto host, runtime::Host::Create("tokenizer", options.common, config, jobs::JobPeers()));
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-tokenizer"}));
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  registry::RegistryClient registry(channel);
  TrainKind train(registry);
  const jobs::JobKinds kinds({&train});
  if (options.common.migrate_only) return jobs::JobServices::Migrate(*pool, "tokenizer");
  FLOE_ASSIGN_OR_RETURN(auto queue, jobs::JobOptions("tokenizer", options.queue, options.common));
  FLOE_ASSIGN_OR_RETURN(auto jobs,
                        jobs::JobServices::Create(*host, *pool, kinds, std::move(queue)));
  const auto files = MakeRegistryTokenizers(channel);
  TokenizerCache tokenizers(*files, static_cast<size_t>(options.cached_tokenizers));
  TokenizerRpc rpc(host->calls(), tokenizers, options.batch_threads);
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  host->OnDrain([&jobs] { jobs->Drain(); });
  return host->Serve({&rpc, &jobs->job_service(), &jobs->lease_service()});
}

}  // namespace floe::services::tokenizer
