// The options of every service that offers jobs.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "services/jobs/job_services.h"
#include "services/runtime/config.h"
#include "services/runtime/options.h"

namespace floe::jobs {

struct QueueOptions {
  absl::Duration lease = absl::Seconds(30);              // a silent runner is given up after this
  absl::Duration heartbeat_interval = absl::Seconds(5);  // how often a runner has to call
  int running_jobs_per_team = 0;                         // at the same time at most; 0: any
  std::vector<std::string> running_jobs_of;              // exceptions: team=number
  int queued_jobs_per_team = 0;                          // that wait at most; 0: any
  std::vector<std::string> queued_jobs_of;               // exceptions: team=number
  std::string billing;                                   // host:port; empty: usage waits
};

// With its checks. Both must outlive `config`'s use.
void AddQueueOptions(runtime::Config& config, QueueOptions& options);

// Of the queue of `service`, with a channel to billing.
absl::StatusOr<JobServices::Options> JobOptions(const std::string& service,
                                                const QueueOptions& options,
                                                const runtime::CommonOptions& common);

}  // namespace floe::jobs
