#include "services/jobs/lease_rpc.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/jobs/client/convert.h"

namespace floe::jobs {
namespace {

constexpr absl::Duration kMaxWait = absl::Seconds(30);
constexpr size_t kMaxRunnerName = 200;

absl::Status CheckIsService(const runtime::CallContext& call) {
  if (call.identity().team.empty()) return absl::OkStatus();
  return WithReason(absl::PermissionDeniedError(
                        "leases are for runners, which call on their own behalf; use JobService"),
                    "SERVICES_ONLY");
}

}  // namespace

grpc::Status LeaseRpc::AcquireLease(grpc::ServerContext* context,
                                    const v1::AcquireLeaseRequest* request,
                                    v1::AcquireLeaseResponse* response) {
  return parts_.calls.Run(*context, "jobs.AcquireLease",
                          [&](runtime::CallContext& call) -> absl::Status {
                            FLOE_RETURN_IF_ERROR(CheckIsService(call));
                            return Acquire(call, *request, *response);
                          });
}

absl::Status LeaseRpc::Acquire(runtime::CallContext& call, const v1::AcquireLeaseRequest& request,
                               v1::AcquireLeaseResponse& response) {
  if (request.kinds().empty() || request.runner().empty() ||
      request.runner().size() > kMaxRunnerName) {
    return absl::InvalidArgumentError(absl::StrCat("a runner names itself (up to ", kMaxRunnerName,
                                                   " bytes) and the kinds it executes"));
  }
  if (request.memory_bytes() < 0) {
    return absl::InvalidArgumentError("memory_bytes must be 0 (not told) or more");
  }
  Runner runner{WithoutNul(request.runner()), {}, request.memory_bytes()};
  for (const std::string& kind : request.kinds()) runner.kinds.push_back(WithoutNul(kind));
  FLOE_RETURN_IF_ERROR(parts_.runners.Note(runner, parts_.clock.Now()));
  const absl::Time until = absl::Now() + std::min(FromProto(request.wait()), kMaxWait);
  while (true) {
    const uint64_t seen = parts_.work.version();
    if (parts_.work.closed()) {
      return absl::UnavailableError("the service is shutting down; ask again in a moment");
    }
    if (call.cancelled()) return absl::CancelledError("the runner left");
    FLOE_ASSIGN_OR_RETURN(const std::optional<Job> job,
                          parts_.leasing.Acquire(runner.kinds, runner.name, runner.memory_bytes));
    if (job && call.cancelled()) {  // nobody hears of this lease
      AttemptEnd end{.attempt = job->attempt, .outcome = Outcome::kHandedBack};
      FLOE_RETURN_IF_ERROR(parts_.leasing.Finish(job->team, job->id, end).status());
      parts_.work.Notify();
      return absl::CancelledError("the runner left");
    }
    if (job) {
      v1::Lease& lease = *response.mutable_lease();
      *lease.mutable_job() = ToProto(*job);
      lease.set_team(absl::StrCat("teams/", job->team));
      lease.set_attempt(job->attempt);
      *lease.mutable_expire_time() = ToProto(*job->lease_expire);
      *lease.mutable_heartbeat_interval() = ToProto(parts_.heartbeat_interval);
      lease.set_last_sequence(job->reported_sequence);
      parts_.changes.Notify();
      call.logger().Info(
          "lease given",
          {{"job", job->name()}, {"attempt", job->attempt}, {"runner", job->runner}});
      return absl::OkStatus();
    }
    const absl::Duration left = std::min(until - absl::Now(), call.time_left());
    if (left <= absl::ZeroDuration()) return absl::OkStatus();
    parts_.work.WaitPast(seen, std::min(left, parts_.poll_interval));
  }
}

grpc::Status LeaseRpc::Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                                 v1::HeartbeatResponse* response) {
  return parts_.calls.Run(*context, "jobs.Heartbeat",
                          [&](runtime::CallContext& call) -> absl::Status {
                            FLOE_RETURN_IF_ERROR(CheckIsService(call));
                            return Beat(*request, *response);
                          });
}

absl::Status LeaseRpc::Beat(const v1::HeartbeatRequest& request, v1::HeartbeatResponse& response) {
  FLOE_ASSIGN_OR_RETURN(const JobName name, ParseJobName(request.name()));
  FLOE_ASSIGN_OR_RETURN(const std::vector<Event> events, FromProto(request.events()));
  FLOE_ASSIGN_OR_RETURN(const Job job,
                        parts_.leasing.Heartbeat(name.team, name.id, request.attempt(), events,
                                                 FromProto(request.used())));
  if (!events.empty()) parts_.changes.Notify();
  *response.mutable_expire_time() = ToProto(*job.lease_expire);
  response.set_cancel_requested(job.state == State::kCancelling);
  response.set_pause_requested(job.state == State::kPausing);
  response.set_last_sequence(job.reported_sequence);
  return absl::OkStatus();
}

grpc::Status LeaseRpc::FinishAttempt(grpc::ServerContext* context,
                                     const v1::FinishAttemptRequest* request, v1::Job* response) {
  return parts_.calls.Run(*context, "jobs.FinishAttempt",
                          [&](runtime::CallContext& call) -> absl::Status {
                            FLOE_RETURN_IF_ERROR(CheckIsService(call));
                            return Finish(call, *request, *response);
                          });
}

absl::Status LeaseRpc::Finish(runtime::CallContext& call, const v1::FinishAttemptRequest& request,
                              v1::Job& response) {
  FLOE_ASSIGN_OR_RETURN(const JobName name, ParseJobName(request.name()));
  FLOE_ASSIGN_OR_RETURN(const AttemptEnd end, FromProto(request));
  FLOE_ASSIGN_OR_RETURN(const Job job, parts_.leasing.Finish(name.team, name.id, end));
  parts_.changes.Notify();
  if (job.state == State::kQueued) parts_.work.Notify();
  call.logger().Info("attempt ended", {{"job", job.name()},
                                       {"attempt", end.attempt},
                                       {"state", StateName(job.state)},
                                       {"error", end.error}});
  response = ToProto(job);
  return absl::OkStatus();
}

}  // namespace floe::jobs
