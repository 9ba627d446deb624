#include "services/trainer/run.h"

#include <memory>
#include <utility>

#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "jobs/postgres/runner_store.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/job_services.h"
#include "services/jobs/runner_memory.h"
#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"
#include "services/trainer/pretrain_kind.h"

namespace floe::services::trainer {

void AddOptions(runtime::Config& config, ServiceOptions& options) {
  config.AddCommon(options.common);
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.AddSecret("database-url", options.database_url,
                   "Postgres connection string, for the queue of training jobs");
  jobs::AddQueueOptions(config, options.queue);
  jobs::AddRunnerMemoryOption(config, options.runner_memory_mib);
  config.AddCheck([&options]() -> absl::Status {
    if (options.registry.empty()) {
      return absl::InvalidArgumentError("registry is missing: give --registry host:port");
    }
    if (options.database_url.empty()) {
      return absl::InvalidArgumentError(
          "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
    }
    return absl::OkStatus();
  });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host,
                        runtime::Host::Create("trainer", options.common, config, jobs::JobPeers()));
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-trainer"}));
  if (options.common.migrate_only) return jobs::JobServices::Migrate(*pool, "trainer");
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  registry::RegistryClient registry(std::move(channel));
  const auto runners = jobs::MakePostgresRunnerStore(*pool, "trainer");
  const jobs::RunnerMemory memory(*runners, host->clock(), options.runner_memory_mib);
  PretrainKind pretrain(registry, memory);
  const jobs::JobKinds kinds({&pretrain});
  FLOE_ASSIGN_OR_RETURN(auto queue, jobs::JobOptions("trainer", options.queue, options.common));
  FLOE_ASSIGN_OR_RETURN(auto jobs,
                        jobs::JobServices::Create(*host, *pool, kinds, std::move(queue)));
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  host->OnDrain([&jobs] { jobs->Drain(); });
  return host->Serve({&jobs->job_service(), &jobs->lease_service()});
}

}  // namespace floe::services::trainer
