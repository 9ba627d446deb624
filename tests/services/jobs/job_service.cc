#include "tests/services/jobs/job_service.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "services/jobs/client/convert.h"
#include "services/runtime/status.h"

namespace floe::jobs {
namespace {

constexpr absl::Duration kTooLong = absl::Seconds(60);

}  // namespace

absl::StatusOr<jobs::CheckedSpec> TestKind::Validate(const runtime::CallContext& call,
                                                     const std::string& team,
                                                     const std::string& spec) {
  ++validated_;
  if (absl::StrContains(spec, "bad")) {
    return absl::InvalidArgumentError("line 1: unknown key \"bad\"");
  }
  if (absl::StrContains(spec, "large")) return CheckedSpec(spec, int64_t{8} << 30);
  return spec;
}

JobServiceHost::JobServiceHost(std::string dsn) {
  options_.service = "test";
  options_.poll_interval = absl::Milliseconds(20);
  auto pool = postgres::Pool::Create({.dsn = std::move(dsn), .max_connections = 16});
  EXPECT_TRUE(pool.ok()) << pool.status();
  pool_ = *std::move(pool);
}

JobServiceHost::~JobServiceHost() { Stop(); }

void JobServiceHost::Start() {
  auto services =
      JobServices::Create({calls_, clock_, ids_, logger_, metrics_, *pool_, kinds_}, options_);
  ASSERT_TRUE(services.ok()) << services.status();
  services_ = *std::move(services);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
  builder.RegisterService(&services_->job_service());
  builder.RegisterService(&services_->lease_service());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
}

void JobServiceHost::Stop() {
  if (server_ == nullptr) return;
  services_->Drain();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  server_->Wait();
  server_.reset();
  services_.reset();
}

std::string JobServiceHost::address() const {
  return absl::StrCat("unix:", (dir_ / "jobs.sock").string());
}

std::shared_ptr<grpc::Channel> JobServiceHost::channel() const {
  return grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
}

JobCaller::JobCaller(std::shared_ptr<grpc::Channel> channel, std::string team)
    : team_(std::move(team)),
      jobs_(v1::JobService::NewStub(channel)),
      leases_(v1::LeaseService::NewStub(channel)) {}

void JobCaller::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTooLong));
  context.set_wait_for_ready(true);
  if (!team_.empty()) context.AddMetadata(runtime::kTeamKey, team_);
  context.AddMetadata(runtime::kKeyIdKey, "key-1");
}

absl::StatusOr<v1::Job> JobCaller::Create(const std::string& spec, const std::string& request_id,
                                          const std::string& kind, const std::string& parent) {
  grpc::ClientContext context;
  Prepare(context);
  v1::CreateJobRequest request;
  request.set_parent(parent);
  request.set_kind(kind);
  request.set_spec(spec);
  request.set_request_id(request_id);
  v1::Job job;
  const auto status = runtime::FromGrpcStatus(jobs_->CreateJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::Job> JobCaller::CreateWith(int priority, const std::string& role) {
  grpc::ClientContext context;
  Prepare(context);
  context.AddMetadata(runtime::kRoleKey, role);
  v1::CreateJobRequest request;
  request.set_parent("teams/" + team_);
  request.set_kind(kTestKind);
  request.set_spec("{}");
  request.set_priority(priority);
  v1::Job job;
  const auto status = runtime::FromGrpcStatus(jobs_->CreateJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::Job> JobCaller::Get(const std::string& name) {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const auto status = runtime::FromGrpcStatus(jobs_->GetJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::Job> JobCaller::Cancel(const std::string& name) {
  grpc::ClientContext context;
  Prepare(context);
  v1::CancelJobRequest request;
  request.set_name(name);
  v1::Job job;
  const auto status = runtime::FromGrpcStatus(jobs_->CancelJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::Job> JobCaller::Pause(const std::string& name) {
  grpc::ClientContext context;
  Prepare(context);
  v1::PauseJobRequest request;
  request.set_name(name);
  v1::Job response;
  const auto status = runtime::FromGrpcStatus(jobs_->PauseJob(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::Job> JobCaller::Resume(const std::string& name) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ResumeJobRequest request;
  request.set_name(name);
  v1::Job response;
  const auto status = runtime::FromGrpcStatus(jobs_->ResumeJob(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::ListJobMetricsResponse> JobCaller::Metrics(const std::string& name,
                                                              int page_size,
                                                              const std::string& page_token) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListJobMetricsRequest request;
  request.set_parent(name);
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListJobMetricsResponse response;
  const auto status = runtime::FromGrpcStatus(jobs_->ListJobMetrics(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::ListJobsResponse> JobCaller::List(int page_size, const std::string& page_token,
                                                     const std::string& parent) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListJobsRequest request;
  request.set_parent(parent);
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListJobsResponse response;
  const auto status = runtime::FromGrpcStatus(jobs_->ListJobs(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

JobCaller::Watched JobCaller::Watch(const std::string& name, int64_t after_sequence,
                                    std::function<bool(const v1::JobEvent&)> enough) {
  grpc::ClientContext context;
  Prepare(context);
  v1::WatchJobRequest request;
  request.set_name(name);
  request.set_after_sequence(after_sequence);
  Watched watched;
  const auto stream = jobs_->WatchJob(&context, request);
  v1::JobEvent event;
  while (stream->Read(&event)) {
    watched.events.push_back(event);
    if (enough && enough(event)) context.TryCancel();
  }
  watched.status = runtime::FromGrpcStatus(stream->Finish());
  return watched;
}

absl::StatusOr<v1::Job> JobCaller::WaitFor(const std::string& name, v1::Job::State state) {
  const Watched watched =
      Watch(name, 0, [&](const v1::JobEvent& event) { return event.state() == state; });
  if (watched.events.empty() || watched.events.back().state() != state) {
    return absl::DeadlineExceededError(absl::StrCat(
        name, " did not become ", v1::Job::State_Name(state), ": ", watched.status.ToString(),
        "; its last event: ", watched.events.empty() ? "none" : Words(watched.events.back())));
  }
  return Get(name);
}

absl::StatusOr<v1::AcquireLeaseResponse> JobCaller::Acquire(absl::Duration wait,
                                                            const std::string& runner,
                                                            int64_t memory_bytes) {
  grpc::ClientContext context;
  Prepare(context);
  v1::AcquireLeaseRequest request;
  request.set_memory_bytes(memory_bytes);
  request.set_runner(runner);
  request.add_kinds(kTestKind);
  *request.mutable_wait() = ToProto(wait);
  v1::AcquireLeaseResponse response;
  const auto status = runtime::FromGrpcStatus(leases_->AcquireLease(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::HeartbeatResponse> JobCaller::Heartbeat(const v1::Lease& lease,
                                                           const std::vector<v1::JobEvent>& events,
                                                           int64_t tokens) {
  grpc::ClientContext context;
  Prepare(context);
  v1::HeartbeatRequest request;
  request.set_name(lease.job().name());
  request.set_attempt(lease.attempt());
  request.mutable_events()->Assign(events.begin(), events.end());
  request.mutable_used()->set_tokens(tokens);
  v1::HeartbeatResponse response;
  const auto status = runtime::FromGrpcStatus(leases_->Heartbeat(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::Job> JobCaller::Finish(const v1::Lease& lease,
                                          v1::FinishAttemptRequest::Outcome outcome,
                                          const std::string& error) {
  grpc::ClientContext context;
  Prepare(context);
  v1::FinishAttemptRequest request;
  request.set_name(lease.job().name());
  request.set_attempt(lease.attempt());
  request.set_outcome(outcome);
  request.set_error(error);
  v1::Job job;
  const auto status = runtime::FromGrpcStatus(leases_->FinishAttempt(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

std::string Words(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kProgress:
      return absl::StrCat("step ", event.progress().step());
    case v1::JobEvent::kLog:
      return event.log().text();
    default:
      return v1::Job::State_Name(event.state());
  }
}

std::vector<std::string> Words(const std::vector<v1::JobEvent>& events) {
  std::vector<std::string> words;
  for (const v1::JobEvent& event : events) words.push_back(Words(event));
  return words;
}

}  // namespace floe::jobs
