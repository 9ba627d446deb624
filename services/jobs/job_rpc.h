// floe.jobs.v1.JobService: what people do with jobs, within their team.
#pragma once

#include "absl/time/time.h"

#include "base/clock.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "jobs/ports.h"
#include "jobs/submission.h"
#include "jobs/wait_reasons.h"
#include "services/jobs/change_signal.h"
#include "services/jobs/job_kinds.h"
#include "services/runtime/call.h"

namespace floe::jobs {

// Thread-safe. Borrows its parts.
class JobRpc final : public v1::JobService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    JobQueue& queue;
    Submission& submission;
    const JobKinds& kinds;
    RunnerStore& runners;
    const Clock& clock;
    const TeamLimits& limits;
    ChangeSignal& work;     // notified when a job is queued
    ChangeSignal& changes;  // notified when anything happens to any job
    absl::Duration poll_interval;
  };
  explicit JobRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status CreateJob(grpc::ServerContext* context, const v1::CreateJobRequest* request,
                         v1::Job* response) override;
  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override;
  grpc::Status CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status PauseJob(grpc::ServerContext* context, const v1::PauseJobRequest* request,
                        v1::Job* response) override;
  grpc::Status ResumeJob(grpc::ServerContext* context, const v1::ResumeJobRequest* request,
                         v1::Job* response) override;
  grpc::Status ListJobMetrics(grpc::ServerContext* context,
                              const v1::ListJobMetricsRequest* request,
                              v1::ListJobMetricsResponse* response) override;

 private:
  // Also why it waits.
  absl::StatusOr<v1::Job> Tell(const Job& job, WaitReasons& reasons);
  WaitReasons Reasons() {
    return {parts_.queue, parts_.runners, parts_.limits, parts_.clock.Now()};
  }
  absl::StatusOr<Job> Create(runtime::CallContext& call, const v1::CreateJobRequest& request);
  absl::Status List(runtime::CallContext& call, const v1::ListJobsRequest& request,
                    v1::ListJobsResponse& response);
  absl::Status Metrics(runtime::CallContext& call, const v1::ListJobMetricsRequest& request,
                       v1::ListJobMetricsResponse& response);
  absl::Status Watch(runtime::CallContext& call, const v1::WatchJobRequest& request,
                     grpc::ServerWriter<v1::JobEvent>& writer);

  const Parts parts_;
};

}  // namespace floe::jobs
