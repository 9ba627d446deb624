// What traffic will cost and how long it will take, before there is any: traffic × tokens × tier,
// with retrieval and agent steps. The prices and the arithmetic are those of charges.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/pricing/charge.h"

namespace floe::billing {

// One kind of request.
struct Workload {
  std::string name;
  std::string model;
  Tier tier = Tier::kDefault;
  int64_t requests_per_day = 0;
  int64_t input_tokens = 0;         // the prompt itself
  int64_t cached_percent = 0;       // of it, whenever it is read
  int64_t output_tokens = 0;        // a step
  int64_t retrieval_passages = 0;   // in the prompt; one retrieval call a request
  int64_t passage_tokens = 0;       // each
  int64_t agent_steps = 1;          // model calls; each reads all that was before it again
  int64_t tool_calls_per_step = 0;  // between two steps
  int64_t tool_result_tokens = 0;   // that each adds to the next prompt
  absl::Duration time_to_first_token;
  absl::Duration time_per_output_token;
  absl::Duration retrieval_time;
  absl::Duration tool_time;  // a call; they run one after the other
};

struct CostDriver {
  std::string name;
  Money amount;        // a request
  double percent = 0;  // of the request's cost; for people
};

struct PlannedStep {
  int number = 1;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  Money cost;              // with its retrieval or tool calls
  absl::Duration latency;  // with their time
  absl::Duration elapsed;  // from the request's begin to this step's end
};

struct WorkloadPlan {
  std::string name;
  Money per_request;
  Money per_day;
  std::vector<CostDriver> drivers;  // largest first; they sum to per_request
  std::vector<PlannedStep> steps;
  absl::Duration latency;
};

struct Plan {
  std::vector<WorkloadPlan> workloads;
  Money per_day;
  Money per_month;  // 30 days
};

// INVALID_ARGUMENT names a number out of range, NO_PRICE what the book does not price.
absl::StatusOr<Plan> MakePlan(const PriceBook& book, const std::vector<Workload>& workloads);

}  // namespace floe::billing
