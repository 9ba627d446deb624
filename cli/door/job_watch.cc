#include "cli/door/job_watch.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/output/human.h"
#include "cli/output/job_view.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = jobs::v1;

constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

// The same call again would be refused again.
bool IsFinal(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
         absl::IsUnauthenticated(status) || absl::IsInvalidArgument(status) ||
         absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
}

// One stream; `last` becomes the newest sequence that came.
absl::Status ReadStream(Door& door, const std::string& name, const std::string& service,
                        const WatchOptions& options, int64_t& last) {
  grpc::ClientContext context;
  door.Prepare(context, absl::InfiniteDuration(), service);
  pb::WatchJobRequest request;
  request.set_name(name);
  request.set_after_sequence(last);
  const auto reader = door.jobs().WatchJob(&context, request);
  pb::JobEvent event;
  while (reader->Read(&event)) {
    if (event.sequence() <= last) continue;
    last = event.sequence();
    if (options.on_event != nullptr) options.on_event(event);
  }
  return door.StatusOf(reader->Finish());
}

}  // namespace

absl::StatusOr<std::string> ServiceOfJob(const std::string& job_name) {
  const std::string id = LastId(job_name);
  const std::string service = id.substr(0, id.find('-'));
  if (service == "trainer" || service == "tokenizer" || service == "alignment") return service;
  return absl::InvalidArgumentError(
      absl::StrCat("'", job_name,
                   "' is no job id; they start with the service that owns the job, "
                   "such as trainer-01j…; `floe jobs ls` lists them"));
}

absl::StatusOr<pb::Job> WatchJob(Door& door, const std::string& job_name,
                                 const WatchOptions& options) {
  FLOE_ASSIGN_OR_RETURN(const std::string service, ServiceOfJob(job_name));
  pb::GetJobRequest request;
  request.set_name(job_name);
  int64_t last = options.after_sequence;
  absl::Duration pause = kFirstPause;
  absl::Time silent_since = absl::Now();
  while (true) {
    const int64_t before = last;
    absl::Status status = ReadStream(door, job_name, service, options, last);
    if (last > before) {
      silent_since = absl::Now();
      pause = kFirstPause;
    }
    if (IsFinal(status)) return status;
    if (status.ok()) {
      auto job = door.Ask(door.jobs(), &pb::JobService::Stub::GetJob, request, service);
      if (job.ok() && HasEnded(job->state())) return job;
      if (job.ok()) {
        silent_since = absl::Now();
      } else if (IsFinal(job.status())) {
        return job.status();
      }
      status = job.status();
    }
    if (!status.ok()) {
      if (absl::Now() - silent_since >= options.give_up_after) return status;
      if (options.on_break != nullptr) options.on_break(status);
    }
    if (options.pause != nullptr) {
      options.pause(pause);
    } else {
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(pause));
    }
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace floe::cli
