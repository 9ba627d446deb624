// A queue in memory, which a test can take away.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/ports.h"

namespace floe::jobs {

// Thread-safe.
class FakeQueue final : public JobQueue {
 public:
  void SetAway(bool away) {
    std::lock_guard lock(mutex_);
    away_ = away;
  }

  absl::StatusOr<Job> Insert(const Change& submitted, const TeamLimits&) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    Store(submitted);
    return submitted.job;
  }
  absl::StatusOr<std::optional<Job>> FindRequest(const std::string& team,
                                                 const std::string& request_id) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    for (const auto& [id, job] : jobs_) {
      if (job.team == team && job.request_id == request_id) return job;
    }
    return std::nullopt;
  }
  absl::StatusOr<Job> Get(const std::string& team, const std::string& id) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.team != team) return absl::NotFoundError(id);
    return found->second;
  }
  absl::StatusOr<JobPage> List(const std::string& team, const std::string& before_id,
                               int limit) override {
    return absl::UnimplementedError("no test lists jobs here");
  }
  absl::StatusOr<std::vector<Event>> Events(const std::string& id, int64_t after_sequence,
                                            int limit) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    std::vector<Event> events;
    for (const Event& event : events_[id]) {
      if (event.sequence > after_sequence) events.push_back(event);
    }
    return events;
  }
  absl::StatusOr<std::vector<StepMetrics>> Metrics(const std::string& id, int64_t after_step,
                                                   int limit) override {
    return absl::UnimplementedError("no test reads measurements here");
  }
  absl::StatusOr<std::vector<Attempt>> Attempts(const std::string& id) override {
    return absl::UnimplementedError("no test reads attempts here");
  }
  absl::StatusOr<Job> Update(const std::string& team, const std::string& id,
                             Transition transition) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return absl::NotFoundError(id);
    absl::StatusOr<Change> change = transition(found->second);
    if (!change.ok()) return change.status();
    Store(*change);
    return change->job;
  }
  absl::StatusOr<std::optional<Job>> TakeNext(const Wanted& wanted,
                                              CertainTransition transition) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    for (const auto& [id, job] : jobs_) {
      if (job.state != State::kQueued || job.due_time > wanted.now) continue;
      const Change change = transition(job);
      Store(change);
      return change.job;
    }
    return std::nullopt;
  }
  absl::StatusOr<std::vector<Job>> UpdateExpired(absl::Time now,
                                                 CertainTransition transition) override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    std::vector<Change> changes;
    for (const auto& [id, job] : jobs_) {
      if (IsLeased(job.state) && *job.lease_expire <= now) changes.push_back(transition(job));
    }
    std::vector<Job> changed;
    for (const Change& change : changes) {
      Store(change);
      changed.push_back(change.job);
    }
    return changed;
  }
  absl::StatusOr<int> CountHeld(const std::string& team) override {
    return absl::UnimplementedError("no test counts a team's jobs here");
  }
  absl::StatusOr<std::map<State, int64_t>> CountOpen() override {
    std::lock_guard lock(mutex_);
    if (away_) return Away();
    std::map<State, int64_t> counts;
    for (const auto& [id, job] : jobs_) {
      if (!IsEnded(job.state)) ++counts[job.state];
    }
    return counts;
  }

 private:
  static absl::Status Away() { return absl::UnavailableError("the queue is away"); }
  void Store(const Change& change) {
    jobs_[change.job.id] = change.job;
    auto& events = events_[change.job.id];
    events.insert(events.end(), change.events.begin(), change.events.end());
  }

  std::mutex mutex_;
  bool away_ = false;                                 // guarded by mutex_
  std::map<std::string, Job> jobs_;                   // guarded by mutex_
  std::map<std::string, std::vector<Event>> events_;  // guarded by mutex_
};

}  // namespace floe::jobs
