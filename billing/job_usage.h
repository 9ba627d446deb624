// What jobs (training of any kind) used: capital cost in quantities, told by the queues' owners.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/report.h"

namespace floe::billing {

struct JobQuantities {
  int64_t attempts = 0;
  int64_t tokens = 0;        // that training went over
  int64_t gigaflop = 0;      // 10^9 floating-point operations
  absl::Duration core_time;  // threads held × time, to the microsecond

  bool operator==(const JobQuantities&) const = default;
  JobQuantities& operator+=(const JobQuantities& more);
};

// An attempt that has ended; (job, attempt) makes it count once.
struct JobUsage {
  std::string job;  // teams/{team}/jobs/{job}
  int attempt = 0;
  std::string queue;  // the service that owns it
  std::string kind;
  std::string runner;
  absl::Time start_time;  // InfinitePast: not known
  absl::Time end_time;
  std::string outcome;  // `succeeded` and so on, as the queue names it
  std::string made;     // resource name; empty unless it succeeded
  JobQuantities used;   // attempts is 1
};

// INVALID_ARGUMENT names what is missing, too long or negative.
absl::Status Validate(const JobUsage& usage);
// The team of a valid one.
std::string TeamOf(const JobUsage& usage);

// What a queue counts itself of a team: its attempts that ended and were sent.
struct JobCount {
  std::string queue;
  std::string team;
  JobQuantities used;
};
absl::Status Validate(const JobCount& count);

// What a queue counts and what came here. Empty when they are the same.
std::string ExplainDifference(const JobCount& counted, const JobQuantities& billed);

// Jobs of one kind that made one thing, or one job, over all their attempts.
struct JobUsageRow {
  std::string team;
  std::string kind;
  std::string made;  // by the last attempt; empty: nothing so far
  int64_t jobs = 0;
  JobQuantities used;
  JobQuantities unsuccessful;  // of these: what failures, retries and pauses took
  std::string job;             // resource name where a row is one job's; else empty
};

// Thread-safe.
class JobUsageStore {
 public:
  virtual ~JobUsageStore() = default;
  // In one transaction; how many attempts were new.
  virtual absl::StatusOr<int64_t> Append(const std::vector<JobUsage>& attempts,
                                         const std::vector<JobCount>& counts) = 0;
  enum class Rows { kMade, kJobs };  // one for all jobs of a kind that made one thing, or one a job
  // Of jobs whose attempts ended in the interval; an empty team sees all. By team, made, kind, job.
  virtual absl::StatusOr<std::vector<JobUsageRow>> Query(std::string_view team,
                                                         const Interval& interval, Rows rows) = 0;
};

}  // namespace floe::billing
