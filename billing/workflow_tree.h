// The steps of a workflow as one tree, with what each costs and how long it takes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/usage_event.h"

namespace floe::billing {

struct WorkflowStep {
  std::string usage_id;
  std::string parent_id;  // as the event says; after BuildTree empty when that step is not here
  std::string step;       // its name, else its operation
  Usage usage;
  bool cache_hit = false;
  absl::Time time;  // when it began
  absl::Duration total_time;
  absl::Duration time_to_first_token;
  Money net;  // its own charge, less its credit

  // Filled by BuildTree:
  int depth = 0;
  Money subtree_net;  // with everything below
};

struct WorkflowTree {
  std::vector<WorkflowStep> steps;  // a step after its parent, siblings by time
  Money net;
  absl::Time start;
  absl::Duration elapsed;  // from the first begin to the last end
  absl::Duration busy;     // the steps' times added up
};

// Steps whose parent is not among them, and steps that name one another in a circle, stand at the
// top. Every step stands in the tree once.
absl::StatusOr<WorkflowTree> BuildTree(std::vector<WorkflowStep> steps);

}  // namespace floe::billing
