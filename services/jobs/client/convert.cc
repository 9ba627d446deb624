#include "services/jobs/client/convert.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"

namespace floe::jobs {
namespace {

v1::Job::State StateToProto(State state) {
  switch (state) {
    case State::kQueued:
      return v1::Job::QUEUED;
    case State::kRunning:
      return v1::Job::RUNNING;
    case State::kSucceeded:
      return v1::Job::SUCCEEDED;
    case State::kFailed:
      return v1::Job::FAILED;
    case State::kCancelled:
      return v1::Job::CANCELLED;
    case State::kCancelling:
      return v1::Job::CANCELLING;
    case State::kPausing:
      return v1::Job::PAUSING;
    case State::kPaused:
      return v1::Job::PAUSED;
  }
  return v1::Job::STATE_UNSPECIFIED;
}

Progress ReadProgress(const v1::Progress& proto) {
  Progress progress;
  progress.step = proto.step();
  progress.steps = proto.steps();
  for (const auto& [name, value] : proto.metrics()) progress.metrics[WithoutNul(name)] = value;
  if (proto.has_remaining()) progress.remaining = FromProto(proto.remaining());
  progress.device = WithoutNul(proto.device());
  return progress;
}

}  // namespace

std::string WithoutNul(const std::string& text) {
  std::string clean;
  clean.reserve(text.size());
  for (const char c : text) {
    if (c == '\0') {
      clean += "\uFFFD";
    } else {
      clean += c;
    }
  }
  return clean;
}

v1::Progress ToProto(const Progress& progress) {
  v1::Progress proto;
  proto.set_step(progress.step);
  proto.set_steps(progress.steps);
  for (const auto& [name, value] : progress.metrics) (*proto.mutable_metrics())[name] = value;
  proto.set_device(progress.device);
  if (progress.remaining != absl::InfiniteDuration()) {
    *proto.mutable_remaining() = ToProto(progress.remaining);
  }
  return proto;
}

v1::Job ToProto(const Job& job) {
  v1::Job proto;
  proto.set_name(job.name());
  proto.set_kind(job.kind);
  proto.set_spec(job.spec);
  proto.set_state(StateToProto(job.state));
  proto.set_attempt(job.attempt);
  proto.set_max_attempts(job.max_attempts + job.handed_back);
  proto.set_error(job.error);
  proto.set_result(job.result);
  if (job.progress) *proto.mutable_progress() = ToProto(*job.progress);
  proto.set_creator(job.creator);
  *proto.mutable_create_time() = ToProto(job.create_time);
  if (job.start_time) *proto.mutable_start_time() = ToProto(*job.start_time);
  if (job.end_time) *proto.mutable_end_time() = ToProto(*job.end_time);
  proto.set_runner(job.runner);
  proto.set_queue_position(job.queue_position);
  proto.set_priority(job.priority);
  proto.set_memory_bytes(job.memory_bytes);
  return proto;
}

v1::JobEvent ToProto(const Event& event) {
  v1::JobEvent proto;
  proto.set_sequence(event.sequence);
  *proto.mutable_time() = ToProto(event.time);
  proto.set_attempt(event.attempt);
  if (const auto* progress = std::get_if<Progress>(&event.what)) {
    *proto.mutable_progress() = ToProto(*progress);
  } else if (const auto* log = std::get_if<LogLine>(&event.what)) {
    proto.mutable_log()->set_level(log->level);
    proto.mutable_log()->set_text(log->text);
  } else {
    proto.set_state(StateToProto(std::get<State>(event.what)));
  }
  return proto;
}

v1::JobMetrics ToProto(const StepMetrics& metrics) {
  v1::JobMetrics proto;
  proto.set_step(metrics.step);
  *proto.mutable_time() = ToProto(metrics.time);
  proto.set_attempt(metrics.attempt);
  for (const auto& [name, value] : metrics.metrics) (*proto.mutable_metrics())[name] = value;
  return proto;
}

v1::Attempt ToProto(const Attempt& attempt) {
  v1::Attempt proto;
  proto.set_number(attempt.number);
  proto.set_runner(attempt.runner);
  if (attempt.start_time) *proto.mutable_start_time() = ToProto(*attempt.start_time);
  if (attempt.end_time) *proto.mutable_end_time() = ToProto(*attempt.end_time);
  if (attempt.outcome) proto.set_outcome(std::string(OutcomeName(*attempt.outcome)));
  proto.set_reason(attempt.reason);
  *proto.mutable_used() = ToProto(attempt.used);
  return proto;
}

v1::Usage ToProto(const Usage& used) {
  v1::Usage proto;
  proto.set_tokens(used.tokens);
  proto.set_gigaflop(used.gigaflop);
  *proto.mutable_core_time() = ToProto(used.core_time);
  return proto;
}

Usage FromProto(const v1::Usage& used) {
  return {std::max<int64_t>(0, used.tokens()), std::max<int64_t>(0, used.gigaflop()),
          std::max(absl::ZeroDuration(), FromProto(used.core_time()))};
}

absl::StatusOr<std::vector<Event>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::JobEvent>& events) {
  std::vector<Event> result;
  for (const v1::JobEvent& proto : events) {
    Event event{proto.sequence(), FromProto(proto.time()), proto.attempt(), {}};
    switch (proto.event_case()) {
      case v1::JobEvent::kProgress:
        event.what = ReadProgress(proto.progress());
        break;
      case v1::JobEvent::kLog:
        event.what = LogLine{WithoutNul(proto.log().level()), WithoutNul(proto.log().text())};
        break;
      case v1::JobEvent::kState:
      case v1::JobEvent::EVENT_NOT_SET:
        return absl::InvalidArgumentError(
            absl::StrCat("event ", proto.sequence(),
                         " is neither progress nor a log line; a runner reports these two"));
    }
    result.push_back(std::move(event));
  }
  return result;
}

absl::StatusOr<AttemptEnd> FromProto(const v1::FinishAttemptRequest& request) {
  AttemptEnd end;
  end.attempt = request.attempt();
  end.error = WithoutNul(request.error());
  end.result = WithoutNul(request.result());
  end.used = FromProto(request.used());
  FLOE_ASSIGN_OR_RETURN(end.events, FromProto(request.events()));
  switch (request.outcome()) {
    case v1::FinishAttemptRequest::SUCCEEDED:
      end.outcome = Outcome::kSucceeded;
      return end;
    case v1::FinishAttemptRequest::FAILED_RETRYABLE:
      end.outcome = Outcome::kFailedRetryable;
      return end;
    case v1::FinishAttemptRequest::FAILED_PERMANENT:
      end.outcome = Outcome::kFailedPermanent;
      return end;
    case v1::FinishAttemptRequest::CANCELLED:
      end.outcome = Outcome::kCancelled;
      return end;
    case v1::FinishAttemptRequest::HANDED_BACK:
      end.outcome = Outcome::kHandedBack;
      return end;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("outcome is ", static_cast<int>(request.outcome()),
                       "; say how the attempt ended: SUCCEEDED, FAILED_RETRYABLE, "
                       "FAILED_PERMANENT, CANCELLED or HANDED_BACK"));
  }
}

absl::StatusOr<JobName> ParseJobName(const std::string& name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", "jobs"}));
  return JobName{std::move(ids[0]), std::move(ids[1])};
}

}  // namespace floe::jobs
