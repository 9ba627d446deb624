#include "cli/commands/submit.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands/pages.h"
#include "cli/door/job_watch.h"
#include "cli/output/exit_code.h"
#include "cli/output/human.h"
#include "cli/output/job_view.h"
#include "cli/output/resource_json.h"

#include "base/status_macros.h"

namespace floe::cli {

namespace pb = jobs::v1;

void AddSubmitOptions(CLI::App& command, SubmitFlags& flags) {
  command
      .add_option("--priority", flags.priority,
                  "-100 to 100: higher ones are taken first, older ones among equals; above 0 is "
                  "for admins")
      ->check(CLI::Range(-100, 100))
      ->capture_default_str();
  command.add_flag("-w,--watch", flags.watch, "Follow the job to its end");
}

absl::StatusOr<std::vector<pb::JobMetrics>> JobMetricsOf(Door& door, const std::string& job_name) {
  FLOE_ASSIGN_OR_RETURN(const std::string service, ServiceOfJob(job_name));
  pb::ListJobMetricsRequest request;
  request.set_parent(job_name);
  return ListAll<pb::JobMetrics>(
      door, door.jobs(), &pb::JobService::Stub::ListJobMetrics, request,
      [](auto& page) -> auto& { return *page.mutable_metrics(); }, service);
}

absl::StatusOr<pb::Job> SubmitJob(Session& session, const Submission& submission) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CreateJobRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  request.set_kind(submission.kind);
  request.set_spec(submission.spec);
  request.set_request_id(NewRequestId());
  request.set_priority(submission.priority);
  return door->Ask(door->jobs(), &pb::JobService::Stub::CreateJob, request, submission.service);
}

absl::Status WatchToEnd(Session& session, const std::string& job_name, int64_t after_sequence) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  JobView view(session.out(), session.streams.out_is_terminal, session.streams.width,
               absl::Seconds(10));
  bool broken = false;
  WatchOptions options;
  options.after_sequence = after_sequence;
  options.on_event = [&](const pb::JobEvent& event) {
    broken = false;
    if (session.json) {
      session.out() << ToJson(event).dump() << std::endl;
    } else {
      view.Show(event, absl::Now());
    }
  };
  options.on_break = [&](const absl::Status& status) {
    if (!broken && !session.json) {
      view.Say(absl::StrCat("the stream of events broke (", status.message(),
                            "); the job goes on, trying again"));
    }
    broken = true;
  };
  if (after_sequence > 0 && session.streams.out_is_terminal && !session.json) {
    FLOE_ASSIGN_OR_RETURN(const auto past, JobMetricsOf(*door, job_name));
    for (const pb::JobMetrics& metrics : past) view.Remember(metrics);
  }
  const absl::StatusOr<pb::Job> job = WatchJob(*door, job_name, options);
  view.Finish();
  FLOE_RETURN_IF_ERROR(job.status());
  if (job->state() != pb::Job::SUCCEEDED) {
    return JobFailedError(
        absl::StrCat("job ", LastId(job->name()), " ", std::string(JobStateName(job->state())),
                     job->error().empty() ? "" : absl::StrCat(": ", job->error()),
                     "; `floe jobs logs ", LastId(job->name()), "` shows all it said"));
  }
  if (!session.json) {
    session.out() << "made " << job->result() << " in "
                  << HumanDuration(TimeOf(job->end_time()) - TimeOf(job->start_time())) << "\n";
  }
  return absl::OkStatus();
}

absl::Status SubmitAndTell(Session& session, Submission submission, const SubmitFlags& flags) {
  submission.priority = flags.priority;
  FLOE_ASSIGN_OR_RETURN(const pb::Job job, SubmitJob(session, submission));
  const std::string id = LastId(job.name());
  // What keeps it waiting, when something does.
  const std::string waits = absl::StrCat(
      job.queue_position() > 1 ? absl::StrCat(", ", job.queue_position() - 1, " before it") : "",
      job.held_back().empty() ? "" : absl::StrCat(", held back: ", job.held_back()));
  if (flags.watch) {
    if (!session.json) {
      session.out() << "job " << id << " (" << job.kind() << ")" << waits << "\n" << std::flush;
    }
    return WatchToEnd(session, job.name(), 0);
  }
  if (session.json) {
    session.PrintJson(ToJson(job));
  } else {
    session.out() << "job " << id << " is queued" << waits << "; `floe jobs watch " << id
                  << "` follows it\n";
  }
  return absl::OkStatus();
}

}  // namespace floe::cli
