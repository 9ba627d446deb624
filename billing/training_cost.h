// Training is capital cost: written off evenly over days, and shown beside what the version it made
// earns and costs to run. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/job_usage.h"
#include "billing/ledger.h"
#include "billing/money/money.h"

namespace floe::billing {

struct TrainingCost {
  std::string id;
  std::string team;
  std::string model;
  std::string model_version;
  std::string job;
  Money amount;
  absl::Time start_time;  // from when on it is written off
  int days = 0;           // over how many
  std::string description;
};

// INVALID_ARGUMENT names the field.
absl::Status Validate(const TrainingCost& cost);

// capital/{model}@{version} grows, training_spend/{team} pays.
Posting TrainingPosting(const TrainingCost& cost);

// Written off by `now`: whole days × amount / days, down to a picodollar; all of it at the end.
absl::StatusOr<Money> Amortized(const TrainingCost& cost, absl::Time now);

// How a version was used so far.
struct VersionUse {
  std::string team;
  std::string model;
  std::string model_version;
  Money revenue;  // charges less credits
  Money cost;     // the same use before margins, in the tiers that were asked for
  absl::Time first_use;
};

struct TrainingCostRow {
  std::string team;
  std::string model;
  std::string model_version;
  Money training_cost;
  Money amortized;
  Money revenue;
  Money running_cost;
  Money contribution;  // revenue - running_cost: what pays the training back
  Money remaining;     // training_cost - contribution
  bool break_even_reached = false;
  std::optional<absl::Time> break_even_time;  // at the pace so far; none when it never comes
  JobQuantities used;                         // by the jobs that made it, over all their attempts
};

// One row for each version that has a cost, by model and version.
absl::StatusOr<std::vector<TrainingCostRow>> CompareTrainingCost(
    const std::vector<TrainingCost>& costs, const std::vector<VersionUse>& uses,
    const std::vector<JobUsageRow>& jobs, absl::Time now);

}  // namespace floe::billing
