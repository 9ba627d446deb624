#include "services/trainer/run.h"

#include <memory>
#include <utility>

#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/job_services.h"
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
  config.Add("lease", options.lease, "A runner that is silent for so long is given up");
  config.Add("heartbeat-interval", options.heartbeat_interval, "How often a runner has to call");
  config.Add("runner-memory-mib", options.runner_memory_mib,
             "Memory that a runner's machine has for a job: what is estimated to need more is "
             "refused. 0: not known");
  config.Add("running-jobs-per-team", options.running_jobs_per_team,
             "Jobs of one team in work at the same time at most; more wait while others' are "
             "taken. 0: any number");
  config.AddCheck([&options]() -> absl::Status {
    if (options.registry.empty()) {
      return absl::InvalidArgumentError("registry is missing: give --registry host:port");
    }
    if (options.database_url.empty()) {
      return absl::InvalidArgumentError(
          "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
    }
    if (options.heartbeat_interval <= absl::ZeroDuration() ||
        options.lease < 2 * options.heartbeat_interval) {
      return absl::InvalidArgumentError("lease must be at least twice the heartbeat-interval");
    }
    if (options.running_jobs_per_team < 0) {
      return absl::InvalidArgumentError("running-jobs-per-team must be 0 (any number) or more");
    }
    if (options.runner_memory_mib < 0) {
      return absl::InvalidArgumentError("runner-memory-mib must be 0 (not known) or more");
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
  PretrainKind pretrain(registry, options.runner_memory_mib);
  const jobs::JobKinds kinds({&pretrain});
  FLOE_ASSIGN_OR_RETURN(auto jobs,
                        jobs::JobServices::Create(*host, *pool, kinds,
                                                  {.service = "trainer",
                                                   .lease = options.lease,
                                                   .heartbeat_interval = options.heartbeat_interval,
                                                   .team_limit = options.running_jobs_per_team}));
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  host->OnDrain([&jobs] { jobs->Drain(); });
  return host->Serve({&jobs->job_service(), &jobs->lease_service()});
}

}  // namespace floe::services::trainer
