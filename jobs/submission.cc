#include "jobs/submission.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::jobs {

absl::StatusOr<Job> Submission::Submit(Order order) {
  if (order.priority < kLeastPriority || order.priority > kMostPriority) {
    return absl::InvalidArgumentError(absl::StrCat("priority is ", order.priority, "; it must be ",
                                                   kLeastPriority, " to ", kMostPriority,
                                                   " (0 is the usual one)"));
  }
  Job job;
  job.id = service_ + "-" + ids_.Next();
  job.team = std::move(order.team);
  job.kind = std::move(order.kind);
  job.spec = std::move(order.spec);
  job.max_attempts = order.max_attempts;
  job.priority = order.priority;
  job.memory_bytes = order.memory_bytes;
  job.creator = std::move(order.creator);
  job.request_id = std::move(order.request_id);
  return queue_.Insert(jobs::Submit(std::move(job), clock_.Now()), waiting_);
}

absl::StatusOr<Job> Submission::Cancel(const std::string& team, const std::string& id) {
  return queue_.Update(team, id,
                       [&](Job job) { return jobs::Cancel(std::move(job), clock_.Now()); });
}

absl::StatusOr<Job> Submission::Pause(const std::string& team, const std::string& id) {
  return queue_.Update(team, id,
                       [&](Job job) { return jobs::Pause(std::move(job), clock_.Now()); });
}

absl::StatusOr<Job> Submission::Resume(const std::string& team, const std::string& id) {
  return queue_.Update(team, id,
                       [&](Job job) { return jobs::Resume(std::move(job), clock_.Now()); });
}

}  // namespace floe::jobs
