#include "services/jobs/job_rpc.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/resource_name.h"
#include "base/status_macros.h"
#include "services/jobs/client/convert.h"

namespace floe::jobs {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;
constexpr int kDefaultMetricsPage = 1000;
constexpr int kMaxMetricsPage = 10'000;
constexpr int kEventBatch = 200;
constexpr size_t kMaxRequestId = 128;
constexpr size_t kMaxSpecBytes = 1 << 20;

// An empty team is a service on its own behalf, which may see all.
bool Sees(const runtime::CallContext& call, const std::string& team) {
  return call.identity().team.empty() || call.identity().team == team;
}

absl::StatusOr<std::string> TeamOf(const runtime::CallContext& call, const std::string& parent) {
  FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(parent, {"teams"}));
  if (Sees(call, ids[0])) return ids[0];
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "there is no ", parent, " for this key, which belongs to teams/", call.identity().team)),
      "TEAM_NOT_FOUND", {{"team", parent}});
}

absl::StatusOr<JobName> NameOf(const runtime::CallContext& call, const std::string& name) {
  FLOE_ASSIGN_OR_RETURN(JobName job, ParseJobName(name));
  if (Sees(call, job.team)) return job;
  return WithReason(absl::NotFoundError(absl::StrCat("there is no job ", name)), "JOB_NOT_FOUND",
                    {{"job", name}});
}

absl::Status CheckRequestId(const std::string& id) {
  const bool printable =
      std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 127; });
  if (printable && id.size() <= kMaxRequestId) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("request_id must be at most ", kMaxRequestId,
                                                 " printable ASCII characters without spaces"));
}

// Who goes before the jobs of all teams is not for everybody to say.
absl::Status CheckPriority(const runtime::CallIdentity& identity, int priority) {
  if (priority <= 0 || identity.team.empty() || identity.role == "admin") return absl::OkStatus();
  return WithReason(
      absl::PermissionDeniedError(absl::StrCat("priority is ", priority,
                                               "; above 0 is for admins, since it goes before "
                                               "the jobs of every team")),
      "PRIORITY_IS_FOR_ADMINS");
}

std::string PageToken(const std::string& last_id) {
  std::string token;
  absl::WebSafeBase64Escape(last_id, &token);
  return token;
}

absl::StatusOr<std::string> ReadPageToken(const std::string& token) {
  std::string id;
  if (token.empty()) return id;
  if (absl::WebSafeBase64Unescape(token, &id) && IsResourceId(id)) return id;
  return absl::InvalidArgumentError(
      "page_token is not one that ListJobs gave; send next_page_token of the previous answer");
}

}  // namespace

grpc::Status JobRpc::CreateJob(grpc::ServerContext* context, const v1::CreateJobRequest* request,
                               v1::Job* response) {
  return parts_.calls.Run(*context, "jobs.CreateJob",
                          [&](runtime::CallContext& call) -> absl::Status {
                            FLOE_ASSIGN_OR_RETURN(const Job job, Create(call, *request));
                            WaitReasons reasons = Reasons();
                            FLOE_ASSIGN_OR_RETURN(*response, Tell(job, reasons));
                            return absl::OkStatus();
                          });
}

absl::StatusOr<v1::Job> JobRpc::Tell(const Job& job, WaitReasons& reasons) {
  v1::Job proto = ToProto(job);
  FLOE_ASSIGN_OR_RETURN(*proto.mutable_held_back(), reasons.Of(job));
  return proto;
}

absl::StatusOr<Job> JobRpc::Create(runtime::CallContext& call,
                                   const v1::CreateJobRequest& request) {
  FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call, request.parent()));
  FLOE_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  if (!request.request_id().empty()) {
    // Before the specification is looked at: what it names may be gone by now.
    FLOE_ASSIGN_OR_RETURN(auto first, parts_.queue.FindRequest(team, request.request_id()));
    if (first) return *std::move(first);
  }
  FLOE_RETURN_IF_ERROR(CheckPriority(call.identity(), request.priority()));
  if (request.spec().size() > kMaxSpecBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("spec has ", request.spec().size(), " bytes; the limit is ", kMaxSpecBytes));
  }
  FLOE_ASSIGN_OR_RETURN(JobKind * kind, parts_.kinds.Find(request.kind()));
  FLOE_ASSIGN_OR_RETURN(CheckedSpec checked, kind->Validate(call, team, request.spec()));
  FLOE_ASSIGN_OR_RETURN(
      Job job,
      parts_.submission.Submit({team, kind->name(), std::move(checked.spec), kind->max_attempts(),
                                call.identity().key_id, request.request_id(), request.priority(),
                                checked.memory_bytes}));
  parts_.work.Notify();
  call.logger().Info("job submitted", {{"job", job.name()}, {"kind", job.kind}});
  return job;
}

grpc::Status JobRpc::GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                            v1::Job* response) {
  return parts_.calls.Run(*context, "jobs.GetJob", [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Job job, parts_.queue.Get(name.team, name.id));
    WaitReasons reasons = Reasons();
    FLOE_ASSIGN_OR_RETURN(*response, Tell(job, reasons));
    FLOE_ASSIGN_OR_RETURN(const std::vector<Attempt> attempts, parts_.queue.Attempts(name.id));
    for (const Attempt& attempt : attempts) *response->add_attempts() = ToProto(attempt);
    return absl::OkStatus();
  });
}

grpc::Status JobRpc::ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                              v1::ListJobsResponse* response) {
  return parts_.calls.Run(*context, "jobs.ListJobs", [&](runtime::CallContext& call) {
    return List(call, *request, *response);
  });
}

absl::Status JobRpc::List(runtime::CallContext& call, const v1::ListJobsRequest& request,
                          v1::ListJobsResponse& response) {
  FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(call, request.parent()));
  FLOE_ASSIGN_OR_RETURN(const std::string before, ReadPageToken(request.page_token()));
  if (request.page_size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size is ", request.page_size(), "; it must be 0 (the default) or more"));
  }
  const int limit =
      request.page_size() == 0 ? kDefaultPage : std::min(request.page_size(), kMaxPage);
  FLOE_ASSIGN_OR_RETURN(const JobPage page, parts_.queue.List(team, before, limit));
  WaitReasons reasons = Reasons();
  for (const Job& job : page.jobs) {
    FLOE_ASSIGN_OR_RETURN(*response.add_jobs(), Tell(job, reasons));
  }
  if (page.more) response.set_next_page_token(PageToken(page.jobs.back().id));
  return absl::OkStatus();
}

grpc::Status JobRpc::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                              grpc::ServerWriter<v1::JobEvent>* writer) {
  return parts_.calls.Run(
      *context, "jobs.WatchJob",
      [&](runtime::CallContext& call) { return Watch(call, *request, *writer); },
      runtime::CallKind::kStream);
}

absl::Status JobRpc::Watch(runtime::CallContext& call, const v1::WatchJobRequest& request,
                           grpc::ServerWriter<v1::JobEvent>& writer) {
  FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request.name()));
  int64_t after = request.after_sequence();
  if (after < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("after_sequence is ", after, "; it must be 0 (all events) or more"));
  }
  while (true) {
    const uint64_t seen = parts_.changes.version();
    // The job first: what it says about its last event is never newer than the events read next.
    FLOE_ASSIGN_OR_RETURN(const Job job, parts_.queue.Get(name.team, name.id));
    FLOE_ASSIGN_OR_RETURN(const std::vector<Event> events,
                          parts_.queue.Events(name.id, after, kEventBatch));
    for (const Event& event : events) {
      if (!writer.Write(ToProto(event))) return absl::CancelledError("the watcher left");
      after = event.sequence;
    }
    if (static_cast<int>(events.size()) == kEventBatch) continue;
    if (IsEnded(job.state) && after >= job.last_sequence) return absl::OkStatus();
    if (parts_.changes.closed()) {
      return absl::UnavailableError(
          absl::StrCat("the service is shutting down; watch again with after_sequence ", after));
    }
    if (call.cancelled()) return absl::CancelledError("the watcher left");
    parts_.changes.WaitPast(seen, std::min(parts_.poll_interval, call.time_left()));
  }
}

grpc::Status JobRpc::CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                               v1::Job* response) {
  return parts_.calls.Run(
      *context, "jobs.CancelJob", [&](runtime::CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request->name()));
        FLOE_ASSIGN_OR_RETURN(const Job job, parts_.submission.Cancel(name.team, name.id));
        parts_.changes.Notify();
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

grpc::Status JobRpc::PauseJob(grpc::ServerContext* context, const v1::PauseJobRequest* request,
                              v1::Job* response) {
  return parts_.calls.Run(
      *context, "jobs.PauseJob", [&](runtime::CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request->name()));
        FLOE_ASSIGN_OR_RETURN(const Job job, parts_.submission.Pause(name.team, name.id));
        parts_.changes.Notify();
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

grpc::Status JobRpc::ResumeJob(grpc::ServerContext* context, const v1::ResumeJobRequest* request,
                               v1::Job* response) {
  return parts_.calls.Run(
      *context, "jobs.ResumeJob", [&](runtime::CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request->name()));
        FLOE_RETURN_IF_ERROR(parts_.submission.Resume(name.team, name.id).status());
        parts_.changes.Notify();
        parts_.work.Notify();
        FLOE_ASSIGN_OR_RETURN(const Job job, parts_.queue.Get(name.team, name.id));  // its place
        *response = ToProto(job);
        return absl::OkStatus();
      });
}

grpc::Status JobRpc::ListJobMetrics(grpc::ServerContext* context,
                                    const v1::ListJobMetricsRequest* request,
                                    v1::ListJobMetricsResponse* response) {
  return parts_.calls.Run(*context, "jobs.ListJobMetrics", [&](runtime::CallContext& call) {
    return Metrics(call, *request, *response);
  });
}

absl::Status JobRpc::Metrics(runtime::CallContext& call, const v1::ListJobMetricsRequest& request,
                             v1::ListJobMetricsResponse& response) {
  FLOE_ASSIGN_OR_RETURN(const JobName name, NameOf(call, request.parent()));
  FLOE_RETURN_IF_ERROR(parts_.queue.Get(name.team, name.id).status());
  if (request.page_size() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size is ", request.page_size(), "; it must be 0 or more"));
  }
  int64_t after = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &after) || after < 0)) {
    return absl::InvalidArgumentError(
        "page_token is not one that ListJobMetrics gave; send next_page_token of the previous "
        "answer");
  }
  const int limit = request.page_size() == 0 ? kDefaultMetricsPage
                                             : std::min(request.page_size(), kMaxMetricsPage);
  FLOE_ASSIGN_OR_RETURN(const std::vector<StepMetrics> rows,
                        parts_.queue.Metrics(name.id, after, limit + 1));
  for (const StepMetrics& row : rows) {
    if (response.metrics_size() == limit) {
      response.set_next_page_token(absl::StrCat(response.metrics(limit - 1).step()));
      break;
    }
    *response.add_metrics() = ToProto(row);
  }
  return absl::OkStatus();
}

}  // namespace floe::jobs
