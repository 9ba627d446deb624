// AdamW over a transformer's parameters, with weight decay for matrices only.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/internal/transformer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// The global norm of all gradients; the same whatever the number of threads.
double GradNorm(const std::vector<Parameter>& parameters);

// Borrows the parameters. Not thread-safe.
class AdamW {
 public:
  AdamW(std::vector<Parameter>& parameters, const TrainSettings& settings);

  // One step, the gradients scaled down to the norm `settings.grad_clip` when they exceed it; then
  // the gradients are gone. `step` counts from 1.
  void Step(int64_t step, double learning_rate, double grad_norm);

  // Both moments, named `m/<parameter>` and `v/<parameter>`. Spans borrow this object.
  std::vector<StateTensor> State() const;
  absl::Status Restore(const StateFile& state);

 private:
  std::vector<Parameter>& parameters_;
  const TrainSettings settings_;
  std::vector<std::vector<float>> m_;
  std::vector<std::vector<float>> v_;
};

}  // namespace floe::trainer
