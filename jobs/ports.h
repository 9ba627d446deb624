// What the use cases of jobs need from outside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "jobs/job.h"
#include "jobs/team_limits.h"
#include "jobs/transitions.h"

namespace floe::jobs {

struct JobPage {
  std::vector<Job> jobs;  // newest first
  bool more = false;
};

// The jobs of one service and their events. Every change is one transaction: the job is locked,
// handed to a pure transition, and stored together with the events; when the transition fails
// nothing changes. Thread-safe. While the store is away everything is UNAVAILABLE.
class JobQueue {
 public:
  virtual ~JobQueue() = default;

  // Stores a submitted job. When its team has used the request id before (unless that is empty),
  // nothing is stored and the job of that time comes back. RESOURCE_EXHAUSTED, as CheckRoom says
  // it, when as many of its team wait as `waiting` allows.
  virtual absl::StatusOr<Job> Insert(const Change& submitted, const TeamLimits& waiting) = 0;

  // The job that a request id has made, if any.
  virtual absl::StatusOr<std::optional<Job>> FindRequest(const std::string& team,
                                                         const std::string& request_id) = 0;

  // NOT_FOUND (JOB_NOT_FOUND) also for another team's.
  virtual absl::StatusOr<Job> Get(const std::string& team, const std::string& id) = 0;

  // The team's jobs older than `before_id` (empty: from the newest on), at most `limit`.
  virtual absl::StatusOr<JobPage> List(const std::string& team, const std::string& before_id,
                                       int limit) = 0;

  // The job's events after `after_sequence`, in order, at most `limit`. None for an unknown job.
  virtual absl::StatusOr<std::vector<Event>> Events(const std::string& id, int64_t after_sequence,
                                                    int limit) = 0;

  // What was measured at the steps after `after_step`, ascending, at most `limit`. Written with the
  // progress events: a step reported again replaces itself and all that came behind it, so that the
  // rows are those of the work that counts. None for an unknown job.
  virtual absl::StatusOr<std::vector<StepMetrics>> Metrics(const std::string& id,
                                                           int64_t after_step, int limit) = 0;

  // The job's attempts, oldest first.
  virtual absl::StatusOr<std::vector<Attempt>> Attempts(const std::string& id) = 0;

  using Transition = absl::FunctionRef<absl::StatusOr<Change>(Job)>;
  using CertainTransition = absl::FunctionRef<Change(Job)>;

  // Changes one job; returns it as stored. NOT_FOUND as in Get, or the transition's error.
  virtual absl::StatusOr<Job> Update(const std::string& team, const std::string& id,
                                     Transition transition) = 0;

  struct Wanted {
    std::vector<std::string> kinds;
    absl::Time now;
    TeamLimits limits;
    int64_t memory_bytes = 0;  // that there is for it; 0: not known
  };
  // Changes the queued job of one of the kinds that has the highest priority, and among those the
  // one that has been due longest, passing over jobs that another caller is taking at this moment,
  // teams that are at their limit, and jobs that need more memory. Nothing when none is due.
  virtual absl::StatusOr<std::optional<Job>> TakeNext(const Wanted& wanted,
                                                      CertainTransition transition) = 0;

  // Changes every job whose lease ended at `now` or before; returns them.
  virtual absl::StatusOr<std::vector<Job>> UpdateExpired(absl::Time now,
                                                         CertainTransition transition) = 0;

  // How many jobs of the team runners hold.
  virtual absl::StatusOr<int> CountHeld(const std::string& team) = 0;

  // How many jobs are in each state that is not an end; none: no entry.
  virtual absl::StatusOr<std::map<State, int64_t>> CountOpen() = 0;
};

}  // namespace floe::jobs
