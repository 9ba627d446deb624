// The optimizer of a run: AdamW for everything, or Muon for the matrices inside the layers and
// AdamW for the rest (tables, head, norms, biases).
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/internal/adamw.h"
#include "trainer/internal/muon.h"
#include "trainer/internal/transformer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// The global norm of all gradients; the same whatever the number of threads.
double GradNorm(const std::vector<Parameter>& parameters);

// Borrows the parameters. Not thread-safe.
class Optimizer {
 public:
  Optimizer(std::vector<Parameter>& parameters, const TrainSettings& settings);

  // One step, the gradients scaled down to the norm `settings.grad_clip` when they exceed it; then
  // the gradients are gone. `step` counts from 1. `learning_rate` is AdamW's; Muon's stands to
  // settings.muon_learning_rate as it stands to settings.learning_rate.
  void Step(int64_t step, double learning_rate, double grad_norm);

  // On the CPU the spans borrow this object.
  std::vector<StateTensor> State() const;
  absl::Status Restore(const StateFile& state);

 private:
  std::vector<Parameter>& parameters_;
  const TrainSettings settings_;
  Muon muon_;
  AdamW adamw_;
};

}  // namespace floe::trainer
