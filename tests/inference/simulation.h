// The real scheduler under an open-loop load, on a virtual clock.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

#include "bench/tiers/open_loop.h"
#include "inference/scheduler/scheduler.h"
#include "tests/inference/modelled_engine.h"

namespace floe::inference {

struct SimulationOptions {
  SchedulerOptions scheduler;
  ModelledCost cost;
  int64_t kv_blocks = 4096;
};

// What had been done by a moment of the simulation, by tier.
struct WorkSample {
  absl::Duration at;
  std::array<int64_t, kNumTiers> answer_tokens = {};
  std::array<int64_t, kNumTiers> prompt_tokens = {};  // of those with a first token
  std::array<int64_t, kNumTiers> waiting = {};        // requests
};

struct SimulationResult {
  std::vector<bench::Outcome> outcomes;  // in the order of arrival
  std::vector<WorkSample> samples;       // after each step
  absl::Duration took;
  SchedulerStats stats;
};

// Runs until everything is answered or refused. The same input gives the same result.
SimulationResult Simulate(const std::vector<bench::Arrival>& arrivals,
                          const SimulationOptions& options);

// Requests a second when all come at once and nothing is refused.
double Capacity(bench::LoadShape shape, SimulationOptions options);

}  // namespace floe::inference
