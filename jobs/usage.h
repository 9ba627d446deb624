// What jobs used, on its way to where it is accounted for: values, and the port to what waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "jobs/job.h"

namespace floe::jobs {

// An attempt that has ended, as it is accounted for. (job, attempt) makes it count once.
struct AttemptUsage {
  std::string job;  // resource name
  std::string team;
  std::string kind;
  std::string made;  // resource name of what a succeeded attempt made; empty otherwise
  Attempt attempt;
};

// A queue's own count of a team's attempts, those of the delivery that it comes with included.
struct UsageCount {
  std::string team;
  int64_t attempts = 0;
  Usage used;
};

struct UsageDelivery {
  std::vector<AttemptUsage> attempts;  // oldest end first
  std::vector<UsageCount> counts;      // of their teams
};

// Attempts that ended and are not accounted for yet: the transaction that ends one makes it wait
// here. Thread-safe.
class UsageOutbox {
 public:
  virtual ~UsageOutbox() = default;

  using Send = absl::FunctionRef<absl::Status(const UsageDelivery&)>;
  // Sends the oldest, at most `limit`; they are accounted for once `send` is OK. Otherwise, and
  // when the process dies in between, they come again. How many were sent; 0 without a call of
  // `send` when none waits or another process is sending.
  virtual absl::StatusOr<int> Deliver(int limit, Send send) = 0;

  virtual absl::StatusOr<int64_t> Waiting() = 0;
};

}  // namespace floe::jobs
