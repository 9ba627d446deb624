// floe.jobs.v1.LeaseService: what runners do with jobs. Services only: a caller with a team of its
// own is refused, should one ever get here.
#pragma once

#include "absl/time/time.h"

#include "base/clock.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "jobs/leasing.h"
#include "jobs/runners.h"
#include "services/jobs/change_signal.h"
#include "services/runtime/call.h"

namespace floe::jobs {

// Thread-safe. Borrows its parts.
class LeaseRpc final : public v1::LeaseService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    Leasing& leasing;
    RunnerStore& runners;
    const Clock& clock;
    ChangeSignal& work;     // notified when a job is queued
    ChangeSignal& changes;  // notified when anything happens to any job
    absl::Duration poll_interval;
    absl::Duration heartbeat_interval;
  };
  explicit LeaseRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status AcquireLease(grpc::ServerContext* context, const v1::AcquireLeaseRequest* request,
                            v1::AcquireLeaseResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status FinishAttempt(grpc::ServerContext* context, const v1::FinishAttemptRequest* request,
                             v1::Job* response) override;

 private:
  absl::Status Acquire(runtime::CallContext& call, const v1::AcquireLeaseRequest& request,
                       v1::AcquireLeaseResponse& response);
  absl::Status Beat(const v1::HeartbeatRequest& request, v1::HeartbeatResponse& response);
  absl::Status Finish(runtime::CallContext& call, const v1::FinishAttemptRequest& request,
                      v1::Job& response);

  const Parts parts_;
};

}  // namespace floe::jobs
