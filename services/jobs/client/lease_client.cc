#include "services/jobs/client/lease_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "services/jobs/client/convert.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"

namespace floe::jobs {
namespace {

absl::StatusOr<Lease> ReadLease(const v1::Lease& proto) {
  FLOE_ASSIGN_OR_RETURN(const JobName name, ParseJobName(proto.job().name()));
  Lease lease;
  lease.job = proto.job().name();
  lease.job_id = name.id;
  lease.team = name.team;
  lease.kind = proto.job().kind();
  lease.spec = proto.job().spec();
  lease.creator = proto.job().creator();
  lease.attempt = proto.attempt();
  lease.heartbeat_interval = FromProto(proto.heartbeat_interval());
  lease.last_sequence = proto.last_sequence();
  return lease;
}

v1::FinishAttemptRequest::Outcome OutcomeToProto(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSucceeded:
      return v1::FinishAttemptRequest::SUCCEEDED;
    case Outcome::kFailedRetryable:
      return v1::FinishAttemptRequest::FAILED_RETRYABLE;
    case Outcome::kFailedPermanent:
      return v1::FinishAttemptRequest::FAILED_PERMANENT;
    case Outcome::kCancelled:
      return v1::FinishAttemptRequest::CANCELLED;
    case Outcome::kHandedBack:
      return v1::FinishAttemptRequest::HANDED_BACK;
  }
  return v1::FinishAttemptRequest::OUTCOME_UNSPECIFIED;
}

class RpcLeaseClient final : public LeaseClient {
 public:
  RpcLeaseClient(const std::shared_ptr<grpc::Channel>& channel, absl::Duration call_timeout)
      : stub_(v1::LeaseService::NewStub(channel)), call_timeout_(call_timeout) {}

  absl::StatusOr<std::optional<Lease>> Acquire(const Runner& runner, absl::Duration wait,
                                               std::stop_token stop) override {
    v1::AcquireLeaseRequest request;
    request.set_runner(runner.name);
    request.mutable_kinds()->Assign(runner.kinds.begin(), runner.kinds.end());
    request.set_memory_bytes(runner.memory_bytes);
    *request.mutable_wait() = ToProto(wait);
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own({}, wait + call_timeout_));
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    v1::AcquireLeaseResponse response;
    FLOE_RETURN_IF_ERROR(
        runtime::FromGrpcStatus(stub_->AcquireLease(&context, request, &response)));
    if (!response.has_lease()) return std::nullopt;
    FLOE_ASSIGN_OR_RETURN(Lease lease, ReadLease(response.lease()));
    return std::optional<Lease>(std::move(lease));
  }

  absl::StatusOr<HeartbeatAnswer> Heartbeat(const Lease& lease, const std::vector<Event>& events,
                                            const Usage& used) override {
    v1::HeartbeatRequest request;
    *request.mutable_used() = ToProto(used);
    request.set_name(lease.job);
    request.set_attempt(lease.attempt);
    for (const Event& event : events) *request.add_events() = ToProto(event);
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own({}, call_timeout_));
    v1::HeartbeatResponse response;
    FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus(stub_->Heartbeat(&context, request, &response)));
    return HeartbeatAnswer{response.cancel_requested(), response.last_sequence(),
                           response.pause_requested()};
  }

  absl::StatusOr<State> Finish(const Lease& lease, const AttemptEnd& end) override {
    v1::FinishAttemptRequest request;
    request.set_name(lease.job);
    request.set_attempt(lease.attempt);
    request.set_outcome(OutcomeToProto(end.outcome));
    request.set_error(end.error);
    request.set_result(end.result);
    *request.mutable_used() = ToProto(end.used);
    for (const Event& event : end.events) *request.add_events() = ToProto(event);
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own({}, call_timeout_));
    v1::Job response;
    FLOE_RETURN_IF_ERROR(
        runtime::FromGrpcStatus(stub_->FinishAttempt(&context, request, &response)));
    const auto state = StateFromName(v1::Job::State_Name(response.state()));
    if (!state) return absl::InternalError("the queue answered with a state that is not known");
    return *state;
  }

 private:
  const std::unique_ptr<v1::LeaseService::Stub> stub_;
  const absl::Duration call_timeout_;
};

}  // namespace

std::unique_ptr<LeaseClient> MakeLeaseClient(const std::shared_ptr<grpc::Channel>& channel,
                                             absl::Duration call_timeout) {
  return std::make_unique<RpcLeaseClient>(channel, call_timeout);
}

}  // namespace floe::jobs
