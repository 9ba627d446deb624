#include "services/alignment/run.h"

#include <memory>
#include <utility>

#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "jobs/postgres/runner_store.h"
#include "services/alignment/alignment_kinds.h"
#include "services/alignment/evaluate_kind.h"
#include "services/alignment/inspect_kind.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/job_services.h"
#include "services/jobs/runner_memory.h"
#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"

namespace floe::services::alignment {

void AddOptions(runtime::Config& config, ServiceOptions& options) {
  config.AddCommon(options.common);
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.AddSecret("database-url", options.database_url,
                   "Postgres connection string, for the queue of alignment jobs");
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
  FLOE_ASSIGN_OR_RETURN(
      auto host, runtime::Host::Create("alignment", options.common, config, jobs::JobPeers()));
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-alignment"}));
  if (options.common.migrate_only) return jobs::JobServices::Migrate(*pool, "alignment");
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  registry::RegistryClient registry(std::move(channel));
  const auto runners = jobs::MakePostgresRunnerStore(*pool, "alignment");
  const jobs::RunnerMemory memory(*runners, host->clock(), options.runner_memory_mib);
  AlignmentKind sft(trainer::AlignKind::kSft, registry, memory);
  AlignmentKind dpo(trainer::AlignKind::kDpo, registry, memory);
  EvaluateKind evaluate(registry);
  InspectKind inspect(registry);
  const jobs::JobKinds kinds({&sft, &dpo, &evaluate, &inspect});
  FLOE_ASSIGN_OR_RETURN(auto queue, jobs::JobOptions("alignment", options.queue, options.common));
  FLOE_ASSIGN_OR_RETURN(auto jobs,
                        jobs::JobServices::Create(*host, *pool, kinds, std::move(queue)));
  host->AddReadyCheck("postgres", [&pool] { return pool->Ping(); });
  host->OnDrain([&jobs] { jobs->Drain(); });
  return host->Serve({&jobs->job_service(), &jobs->lease_service()});
}

}  // namespace floe::services::alignment
