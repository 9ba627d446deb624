// Everything that a service needs to offer jobs over its own queue, in one object:
//
//   JobKinds kinds({&pretrain});
//   if (options.common.migrate_only) return JobServices::Migrate(*pool, "trainer");
//   FLOE_ASSIGN_OR_RETURN(auto jobs, JobServices::Create(*host, *pool, kinds, {"trainer"}));
//   host->OnDrain([&] { jobs->Drain(); });
//   return host->Serve({&jobs->job_service(), &jobs->lease_service()});
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "jobs/leasing.h"
#include "services/jobs/job_kinds.h"
#include "services/runtime/call.h"
#include "services/runtime/host.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::jobs {

// For a service that offers jobs: the gateway may call everything, runners lease.
runtime::PeerRules JobPeers();

// Thread-safe. Owns the queue, both RPC services and the thread that finds expired leases.
class JobServices {
 public:
  struct Options {
    std::string service;  // `trainer`: the schema of the queue and the prefix of its job ids
    absl::Duration lease = absl::Seconds(30);              // a silent runner is given up after this
    absl::Duration heartbeat_interval = absl::Seconds(2);  // how often a runner has to call
    // How often expired leases are looked for, and how late jobs that became due and another
    // replica's jobs and events are seen; what this process does is seen at once.
    absl::Duration poll_interval = absl::Seconds(1);
    RetryPolicy retry;
    TeamLimits limits;         // of jobs in work at the same time
    TeamLimits queued_limits;  // of jobs that wait at the same time
    // Where what attempts used is told (floe.billing.v1.UsageService); without it, it waits.
    std::shared_ptr<grpc::Channel> billing;
  };

  struct Surroundings {
    runtime::Calls& calls;
    const Clock& clock;
    IdGenerator& ids;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
    postgres::Pool& pool;
    const JobKinds& kinds;
  };

  // Brings the tables in the schema `service` up to date, and nothing else.
  static absl::Status Migrate(postgres::Pool& pool, const std::string& service);

  // Brings the tables in the schema `options.service` up to date and starts the thread. Borrows
  // all of its arguments.
  static absl::StatusOr<std::unique_ptr<JobServices>> Create(runtime::Host& host,
                                                             postgres::Pool& pool,
                                                             const JobKinds& kinds,
                                                             Options options);
  static absl::StatusOr<std::unique_ptr<JobServices>> Create(const Surroundings& surroundings,
                                                             Options options);
  ~JobServices();

  grpc::Service& job_service();    // floe.jobs.v1.JobService
  grpc::Service& lease_service();  // floe.jobs.v1.LeaseService

  // Ends waiting calls: watchers and runners get UNAVAILABLE and come back a little later.
  // Heartbeats and ends of attempts are accepted until the server stops.
  void Drain();

 private:
  struct Parts;
  explicit JobServices(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace floe::jobs
