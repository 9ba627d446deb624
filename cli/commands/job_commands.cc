// floe jobs ls | show | watch | logs | pause | resume | cancel
#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/commands/submit.h"
#include "cli/door/job_watch.h"
#include "cli/output/human.h"
#include "cli/output/job_view.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = jobs::v1;

constexpr const char* kServices[] = {"trainer", "alignment", "tokenizer"};  // that own queues

struct ListFlags {
  std::string state;
  int limit = 20;
};

struct JobFlags {
  std::string job;
  int64_t after = 0;
};

// The jobs of every queue, newest first. A queue that does not answer is said beside the others.
absl::StatusOr<std::vector<pb::Job>> AllJobs(Session& session, Door& door) {
  pb::ListJobsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door.Team());
  std::vector<pb::Job> jobs;
  absl::Status failure;
  bool any = false;
  for (const char* service : kServices) {
    auto some = ListAll<pb::Job>(
        door, door.jobs(), &pb::JobService::Stub::ListJobs, request,
        [](auto& page) -> auto& { return *page.mutable_jobs(); }, service);
    if (!some.ok()) {
      failure = some.status();
      session.err() << "floe: the jobs of " << service
                    << " are missing: " << std::string(failure.message()) << "\n";
      continue;
    }
    any = true;
    for (pb::Job& job : *some) jobs.push_back(std::move(job));
  }
  if (!any) return failure;
  std::stable_sort(jobs.begin(), jobs.end(), [](const pb::Job& a, const pb::Job& b) {
    return TimeOf(a.create_time()) > TimeOf(b.create_time());
  });
  return jobs;
}

std::string ProgressCell(const pb::Job& job) {
  if (!job.has_progress() || job.progress().steps() <= 0) return "-";
  return absl::StrFormat("%.0f%%", 100.0 * static_cast<double>(job.progress().step()) /
                                       static_cast<double>(job.progress().steps()));
}

// Where the job stands: `queued (3.)` has two before it.
std::string StateCell(const pb::Job& job) {
  const std::string state(JobStateName(job.state()));
  return job.queue_position() > 0 ? absl::StrCat(state, " (", job.queue_position(), ".)") : state;
}

// What came of it, or why nothing has yet.
std::string ResultCell(const pb::Job& job) {
  if (!job.result().empty()) return job.result();
  if (!job.held_back().empty()) return absl::StrCat("held back: ", job.held_back());
  return job.error().substr(0, 60);
}

std::string TookCell(const pb::Job& job) {
  if (!job.has_start_time()) return "-";
  const absl::Time end = job.has_end_time() ? TimeOf(job.end_time()) : absl::Now();
  return HumanDuration(end - TimeOf(job.start_time()));
}

absl::Status List(Session& session, const ListFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(std::vector<pb::Job> jobs, AllJobs(session, *door));
  std::erase_if(jobs, [&](const pb::Job& job) {
    return !flags.state.empty() && JobStateName(job.state()) != flags.state;
  });
  if (flags.limit > 0 && jobs.size() > static_cast<size_t>(flags.limit)) jobs.resize(flags.limit);
  if (session.json) {
    session.PrintJson(ToJsonArray(jobs));
    return absl::OkStatus();
  }
  Table table(
      {"JOB", "KIND", "STATE", ">PRIORITY", ">DONE", ">ATTEMPT", ">TOOK", "SUBMITTED", "RESULT"});
  for (const pb::Job& job : jobs) {
    table.Add({LastId(job.name()), job.kind(), StateCell(job), absl::StrCat(job.priority()),
               ProgressCell(job), absl::StrCat(job.attempt(), "/", job.max_attempts()),
               TookCell(job), HumanTime(TimeOf(job.create_time()), absl::LocalTimeZone()),
               ResultCell(job)});
  }
  session.out() << (table.empty() ? "No jobs; `floe train job.yaml` submits one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

absl::StatusOr<pb::Job> Get(Session& session, const std::string& id, std::string& service) {
  FLOE_ASSIGN_OR_RETURN(service, ServiceOfJob(id));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetJobRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("jobs", id));
  return door->Ask(door->jobs(), &pb::JobService::Stub::GetJob, request, service);
}

std::string AttemptTable(const pb::Job& job) {
  Table table({">ATTEMPT", "RUNNER", "STARTED", ">TOOK", ">TOKENS", ">WORK", ">CORE TIME",
               "ENDED AS", "WHY"});
  for (const pb::Attempt& attempt : job.attempts()) {
    const absl::Time start = TimeOf(attempt.start_time());
    const absl::Time end = attempt.has_end_time() ? TimeOf(attempt.end_time()) : absl::Now();
    table.Add(
        {absl::StrCat(attempt.number()), attempt.runner(),
         attempt.has_start_time() ? HumanTime(start, absl::LocalTimeZone()) : "-",
         attempt.has_start_time() ? HumanDuration(end - start) : "-",
         HumanCount(attempt.used().tokens()),
         HumanFlops(1e9 * static_cast<double>(attempt.used().gigaflop())),
         HumanDuration(CoreTimeOf(attempt.used())),
         attempt.outcome().empty() ? "runs" : absl::StrReplaceAll(attempt.outcome(), {{"_", " "}}),
         attempt.reason().empty() ? "-" : attempt.reason()});
  }
  return table.Render();
}

absl::Status Show(Session& session, const JobFlags& flags) {
  std::string service;
  FLOE_ASSIGN_OR_RETURN(const pb::Job job, Get(session, flags.job, service));
  if (session.json) {
    session.PrintJson(ToJson(job));
    return absl::OkStatus();
  }
  const auto time = [](const google::protobuf::Timestamp& stamp) {
    return HumanTime(TimeOf(stamp), absl::LocalTimeZone());
  };
  Fields fields;
  fields.Add("job", job.name());
  fields.Add("kind", job.kind());
  fields.Add("state", std::string(JobStateName(job.state())));
  if (job.queue_position() > 0) {
    fields.Add("in the queue", job.queue_position() == 1
                                   ? "taken next"
                                   : absl::StrCat(job.queue_position() - 1, " before it"));
  }
  if (!job.held_back().empty()) fields.Add("held back", job.held_back());
  fields.Add("priority", absl::StrCat(job.priority()));
  if (job.memory_bytes() > 0) {
    fields.Add("memory", absl::StrCat("about ", HumanBytes(job.memory_bytes())));
  }
  if (!job.error().empty()) fields.Add("error", job.error());
  if (!job.result().empty()) fields.Add("result", job.result());
  fields.Add("attempt", absl::StrCat(job.attempt(), " of ", job.max_attempts()));
  if (!job.runner().empty()) fields.Add("runner", job.runner());
  fields.Add("submitted", absl::StrCat(time(job.create_time()), " by ", job.creator()));
  fields.Add("started", time(job.start_time()));
  fields.Add("ended", time(job.end_time()));
  fields.Add("took", TookCell(job));
  if (job.has_progress()) fields.Add("progress", ProgressLine(job.progress(), 20));
  session.out() << fields.Render();
  if (job.attempts_size() > 0) session.out() << "\n" << AttemptTable(job);
  session.out() << "\nspecification\n"
                << nlohmann::ordered_json(ToJson(job)["spec"]).dump(2) << "\n";
  return absl::OkStatus();
}

absl::Status Watch(Session& session, const JobFlags& flags) {
  FLOE_RETURN_IF_ERROR(ServiceOfJob(flags.job).status());
  FLOE_ASSIGN_OR_RETURN(const std::string name, session.ResourceName("jobs", flags.job));
  return WatchToEnd(session, name, flags.after);
}

// Cancel, pause and resume: one call each, which repeats safely.
template <typename Request>
absl::Status Change(Session& session, const JobFlags& flags,
                    grpc::Status (pb::JobService::Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, pb::Job*)) {
  FLOE_ASSIGN_OR_RETURN(const std::string service, ServiceOfJob(flags.job));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  Request request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("jobs", flags.job));
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::Job job, door->Ask(door->jobs(), method, request, service));
  if (session.json) {
    session.PrintJson(ToJson(job));
  } else {
    session.out() << "job " << LastId(job.name()) << " is " << StateCell(job) << "\n";
  }
  return absl::OkStatus();
}

absl::Status Cancel(Session& session, const JobFlags& flags) {
  return Change(session, flags, &pb::JobService::Stub::CancelJob);
}

absl::Status Pause(Session& session, const JobFlags& flags) {
  return Change(session, flags, &pb::JobService::Stub::PauseJob);
}

absl::Status Resume(Session& session, const JobFlags& flags) {
  return Change(session, flags, &pb::JobService::Stub::ResumeJob);
}

struct LogFlags : JobFlags {
  bool follow = false;
};

// What the job has said, without its progress. Without --follow it ends where the job stands now.
absl::Status Logs(Session& session, const LogFlags& flags) {
  std::string service;
  FLOE_ASSIGN_OR_RETURN(const pb::Job job, Get(session, flags.job, service));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  grpc::ClientContext context;
  const bool to_end = flags.follow || HasEnded(job.state());
  // The past comes at once; what follows is not waited for unless asked.
  door->Prepare(context, to_end ? absl::InfiniteDuration() : absl::Seconds(2), service);
  pb::WatchJobRequest request;
  request.set_name(job.name());
  request.set_after_sequence(flags.after);
  const auto reader = door->jobs().WatchJob(&context, request);
  pb::JobEvent event;
  while (reader->Read(&event)) {
    if (event.has_progress()) continue;
    if (session.json) {
      session.out() << ToJson(event).dump() << std::endl;
      continue;
    }
    const std::string stamp =
        absl::FormatTime("%H:%M:%S", TimeOf(event.time()), absl::LocalTimeZone());
    session.out() << stamp << "  "
                  << (event.has_log()
                          ? absl::StrFormat("%-7s  %s", event.log().level(), event.log().text())
                          : absl::StrCat("state    ", std::string(JobStateName(event.state()))))
                  << std::endl;
  }
  const absl::Status status = door->StatusOf(reader->Finish());
  return !to_end && absl::IsDeadlineExceeded(status) ? absl::OkStatus() : status;
}

}  // namespace

void AddJobCommands(CommandLine& line) {
  CLI::App* group = AddGroup(line.app(), "jobs", "Long-running work: training of any kind");
  auto& list = line.Keep<ListFlags>();
  CLI::App* command =
      AddCommand(*group, "ls", "List the team's jobs, newest first",
                 "  floe jobs ls --state running\n"
                 "  floe jobs ls --json | jq -r '.[] | select(.error != \"\").name'");
  command->add_option("--state", list.state, "Only jobs in this state")
      ->check(CLI::IsMember({"queued", "running", "succeeded", "failed", "cancelled", "cancelling",
                             "pausing", "paused"}));
  command->add_option("--limit", list.limit, "At most this many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  const auto add = [&](const char* name, const char* what, const char* examples, auto& flags,
                       auto action) {
    CLI::App* one = AddCommand(*group, name, what, examples);
    one->add_option("job", flags.job, "The job's id")->required();
    line.OnRun(one, [&flags, action](Session& session) { return action(session, flags); });
    return one;
  };
  add("show",
      "One job: state, priority, place in the queue and what holds it back, attempts with what "
      "they "
      "used and why they ended, specification",
      "  floe jobs show trainer-01j9…", line.Keep<JobFlags>(), Show);
  auto& watch = line.Keep<JobFlags>();
  command =
      add("watch", "Follow a job to its end: progress, loss, tokens/s, time left",
          "  floe jobs watch trainer-01j9…\n"
          "  floe jobs watch trainer-01j9… --json | jq .progress.metrics.loss\n\n"
          "On a terminal it draws the losses, training and held out, as they come; otherwise it\n"
          "prints plain lines. A broken stream is taken up where it broke. Ends with 0 when the "
          "job succeeds, with\n"
          "6 when it fails or is cancelled. Ctrl-C ends the watching, not the job.",
          watch, Watch);
  command->add_option("--after", watch.after, "Only events after this sequence number");
  add("pause", "Ask a job to step aside: it saves where it is and waits",
      "  floe jobs pause trainer-01j9…\n\n"
      "A running job writes its state as it does when its runner shuts down; the attempt does\n"
      "not count. `floe jobs resume` queues it again, and it goes on from there.",
      line.Keep<JobFlags>(), Pause);
  add("resume", "Queue a paused job again", "  floe jobs resume trainer-01j9…",
      line.Keep<JobFlags>(), Resume);
  AddJobCompareCommand(*group, line);
  add("cancel", "Ask a job to stop", "  floe jobs cancel trainer-01j9…", line.Keep<JobFlags>(),
      Cancel);
  auto& logs = line.Keep<LogFlags>();
  command =
      add("logs", "What a job has said: its log lines, samples and states",
          "  floe jobs logs trainer-01j9…\n  floe jobs logs trainer-01j9… --follow", logs, Logs);
  command->add_flag("-f,--follow", logs.follow, "Go on until the job has ended");
}

}  // namespace floe::cli
