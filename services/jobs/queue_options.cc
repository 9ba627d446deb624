#include "services/jobs/queue_options.h"

#include "base/status_macros.h"
#include "services/runtime/client.h"

namespace floe::jobs {
namespace {

absl::StatusOr<TeamLimits> RunningLimits(const QueueOptions& options) {
  return ParseTeamLimits("running-jobs", options.running_jobs_per_team, options.running_jobs_of);
}

absl::StatusOr<TeamLimits> QueuedLimits(const QueueOptions& options) {
  return ParseTeamLimits("queued-jobs", options.queued_jobs_per_team, options.queued_jobs_of);
}

}  // namespace

void AddQueueOptions(runtime::Config& config, QueueOptions& options) {
  config.Add("lease", options.lease, "A runner that is silent for so long is given up");
  config.Add("heartbeat-interval", options.heartbeat_interval, "How often a runner has to call");
  config.Add("running-jobs-per-team", options.running_jobs_per_team,
             "Jobs of one team in work at the same time at most; more wait while others' are "
             "taken. 0: any number");
  config.Add("running-jobs-of", options.running_jobs_of,
             "Teams with another number: team=number,...");
  config.Add("queued-jobs-per-team", options.queued_jobs_per_team,
             "Jobs of one team that wait at the same time at most, queued or paused; a further one "
             "is refused. 0: any number");
  config.Add("queued-jobs-of", options.queued_jobs_of,
             "Teams with another number: team=number,...");
  config.Add("billing", options.billing,
             "Address of floe-billing, host:port, which is told what jobs used; without it that "
             "waits in the database");
  config.AddCheck([&options]() -> absl::Status {
    if (options.heartbeat_interval <= absl::ZeroDuration() ||
        options.lease < 2 * options.heartbeat_interval) {
      return absl::InvalidArgumentError("lease must be at least twice the heartbeat-interval");
    }
    FLOE_RETURN_IF_ERROR(RunningLimits(options).status());
    return QueuedLimits(options).status();
  });
}

absl::StatusOr<JobServices::Options> JobOptions(const std::string& service,
                                                const QueueOptions& options,
                                                const runtime::CommonOptions& common) {
  JobServices::Options jobs{
      .service = service, .lease = options.lease, .heartbeat_interval = options.heartbeat_interval};
  FLOE_ASSIGN_OR_RETURN(jobs.limits, RunningLimits(options));
  FLOE_ASSIGN_OR_RETURN(jobs.queued_limits, QueuedLimits(options));
  if (!options.billing.empty()) {
    FLOE_ASSIGN_OR_RETURN(jobs.billing,
                          runtime::MakeChannel(options.billing, common.tls, common.insecure));
  }
  return jobs;
}

}  // namespace floe::jobs
