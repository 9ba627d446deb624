// Everything that is known of a model before a GPU is bought, in one value: what `floe plan` shows.
// Pure; how it is shown stands in cli/plan/.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "model/accounting.h"
#include "model/blueprint.h"
#include "model/hardware.h"
#include "model/training_memory.h"
#include "model/training_run.h"

namespace floe::model {

struct PlanRequest {
  // What one device trains on at once; batch_size is also how many sequences are served at once.
  TrainingMemoryOptions training;
  int64_t tokens = 0;  // to train on; 0: the compute-optimal ones
  Hardware hardware;
  // Of a device's memory, what weights, states and caches may take; libraries, fragments and the
  // rest of a process need the others.
  double memory_share = 0.9;
  // FLOP/s that past training sustained on one such device; 0: the hardware's assumed utilization.
  double measured_flops = 0;
};

// Serving from one device at one precision.
struct ServingPlan {
  int64_t bytes_per_number = 0;      // of weights and of the cache: 4 or 2
  ServingMemory memory;              // with batch_size sequences
  int64_t kv_bytes_per_token = 0;    //
  int64_t sequences = 0;             // at full length beside the weights; -1: no room for those
  std::optional<Blueprint> largest;  // in these proportions, that serves batch_size sequences
};

struct Plan {
  Blueprint blueprint;
  PlanRequest request;         // zeros replaced by what they stand for
  bool optimal_tokens = true;  // nobody asked for another number
  ParameterCounts parameters;
  // The other kind of FFN, all other dials kept; none in the gpt2 family, which knows one.
  std::optional<FfnKind> other_ffn;
  int64_t other_ffn_total = 0;
  int64_t forward_flops_per_token = 0;  // attending to half of the sequence
  int64_t compute_optimal_tokens = 0;
  TrainingWork work;
  double flops_per_device = 0;  // sustained: measured, or assumed
  TrainingTime time;
  int64_t usable_memory = 0;  // memory_share of the device's
  TrainingMemory memory;
  std::optional<Blueprint> largest_to_train;  // in these proportions, on one such device
  std::array<ServingPlan, 2> serving;         // f32, bf16

  bool fits() const { return memory.Total() <= usable_memory; }
};

// INVALID_ARGUMENT names the dial or the figure that cannot be: of the blueprint, of the hardware,
// a sequence beyond the context, counts below 1.
absl::StatusOr<Plan> MakePlan(const Blueprint& blueprint, const PlanRequest& request);

}  // namespace floe::model
