#include "services/jobs/job_services.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "jobs/postgres/queue.h"
#include "jobs/postgres/runner_store.h"
#include "jobs/postgres/usage_outbox.h"
#include "jobs/reaper.h"
#include "jobs/submission.h"
#include "services/jobs/change_signal.h"
#include "services/jobs/job_rpc.h"
#include "services/jobs/lease_rpc.h"
#include "services/jobs/usage_sender.h"

namespace floe::jobs {
namespace {

absl::Status CheckOptions(const JobServices::Options& options) {
  if (!IsResourceId(options.service)) {
    return absl::InvalidArgumentError("a service that offers jobs needs a name for its queue");
  }
  if (options.poll_interval <= absl::ZeroDuration() ||
      options.heartbeat_interval <= absl::ZeroDuration() ||
      options.lease < 2 * options.heartbeat_interval || options.lease < 2 * options.poll_interval) {
    return absl::InvalidArgumentError(
        absl::StrCat("lease is ", absl::FormatDuration(options.lease),
                     "; it must be at least twice the heartbeat interval (",
                     absl::FormatDuration(options.heartbeat_interval), ") and the poll interval (",
                     absl::FormatDuration(options.poll_interval), "), which must be positive"));
  }
  return absl::OkStatus();
}

}  // namespace

struct JobServices::Parts {
  Parts(const Surroundings& from, Options chosen)
      : options(std::move(chosen)),
        logger(from.logger),
        metrics(from.metrics),
        queue(MakePostgresQueue(from.pool, options.service)),
        runners(MakePostgresRunnerStore(from.pool, options.service)),
        outbox(MakePostgresUsageOutbox(from.pool, options.service)),
        submission(*queue, from.clock, from.ids, options.service, options.queued_limits),
        leasing(*queue, from.clock, {options.lease, options.retry, options.limits}),
        reaper(*queue, from.clock, {options.lease, options.retry}),
        job_rpc({from.calls, *queue, submission, from.kinds, *runners, from.clock, options.limits,
                 work, changes, options.poll_interval}),
        lease_rpc({from.calls, leasing, *runners, from.clock, work, changes, options.poll_interval,
                   options.heartbeat_interval}),
        usage(options.billing == nullptr
                  ? nullptr
                  : std::make_unique<UsageSender>(
                        UsageSender::Parts{*outbox, options.billing, logger, metrics},
                        UsageSender::Options{options.service, options.poll_interval})),
        thread([this](std::stop_token stop) { Reap(stop); }) {}

  void Reap(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    bool reachable = true;
    while (!stop.stop_requested()) {
      const auto found = reaper.Tick();
      if (found.ok()) {
        Publish(*found);
      } else if (reachable) {  // said once an outage
        logger.Warning("the queue cannot be reached", {{"error", found.status().ToString()}});
      }
      reachable = found.ok();
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, absl::ToChronoNanoseconds(options.poll_interval),
                    [] { return false; });
    }
  }

  void Publish(const Reaper::Found& found) {
    for (const State state :
         {State::kQueued, State::kRunning, State::kCancelling, State::kPausing, State::kPaused}) {
      const auto count = found.open.find(state);
      metrics
          .Gauge("floe_jobs_open", "Jobs that have not ended, by state",
                 {{"state", std::string(StateName(state))}})
          .Set(count == found.open.end() ? 0.0 : static_cast<double>(count->second));
    }
    auto& expired = metrics.Counter("floe_jobs_leases_expired_total",
                                    "Leases that ended without a word of their runner");
    for (const Job& job : found.expired) {
      expired.Increment();
      logger.Warning(
          "lease expired",
          {{"job", job.name()}, {"attempt", job.attempt}, {"state", StateName(job.state)}});
    }
    if (found.expired.empty()) return;
    changes.Notify();
    work.Notify();
  }

  const Options options;
  const runtime::Logger logger;
  runtime::Metrics& metrics;
  const std::unique_ptr<JobQueue> queue;
  const std::unique_ptr<RunnerStore> runners;
  const std::unique_ptr<UsageOutbox> outbox;
  Submission submission;
  Leasing leasing;
  Reaper reaper;  // used by the thread alone
  ChangeSignal work;
  ChangeSignal changes;
  JobRpc job_rpc;
  LeaseRpc lease_rpc;
  const std::unique_ptr<UsageSender> usage;  // nullptr: it waits
  std::jthread thread;                       // last: stops before what it uses goes
};

runtime::PeerRules JobPeers() {
  return {{"gateway", {"*"}},
          {"runner", {"jobs.AcquireLease", "jobs.Heartbeat", "jobs.FinishAttempt"}}};
}

absl::Status JobServices::Migrate(postgres::Pool& pool, const std::string& service) {
  return MigrateQueue(pool, service);
}

absl::StatusOr<std::unique_ptr<JobServices>> JobServices::Create(runtime::Host& host,
                                                                 postgres::Pool& pool,
                                                                 const JobKinds& kinds,
                                                                 Options options) {
  return Create(
      {host.calls(), host.clock(), host.ids(), host.logger(), host.metrics(), pool, kinds},
      std::move(options));
}

absl::StatusOr<std::unique_ptr<JobServices>> JobServices::Create(const Surroundings& surroundings,
                                                                 Options options) {
  FLOE_RETURN_IF_ERROR(CheckOptions(options));
  FLOE_RETURN_IF_ERROR(MigrateQueue(surroundings.pool, options.service));
  return std::unique_ptr<JobServices>(
      new JobServices(std::make_unique<Parts>(surroundings, std::move(options))));
}

JobServices::JobServices(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
JobServices::~JobServices() = default;

grpc::Service& JobServices::job_service() { return parts_->job_rpc; }
grpc::Service& JobServices::lease_service() { return parts_->lease_rpc; }

void JobServices::Drain() {
  parts_->work.Close();
  parts_->changes.Close();
}

}  // namespace floe::jobs
