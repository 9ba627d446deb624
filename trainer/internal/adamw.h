// AdamW (arXiv:1711.05101) over parameters, with weight decay for those that decay.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/internal/transformer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// Borrows the parameters. Not thread-safe.
class AdamW {
 public:
  AdamW(std::vector<Parameter*> parameters, const TrainSettings& settings);

  // One step with gradients times `grad_scale`. `step` counts from 1.
  void Step(int64_t step, double learning_rate, double grad_scale);

  // Both moments, named `m/<parameter>` and `v/<parameter>`. On the CPU the spans borrow this
  // object.
  std::vector<StateTensor> State() const;
  absl::Status Restore(const StateFile& state);

 private:
  const std::vector<Parameter*> parameters_;
  const TrainSettings settings_;
  std::vector<at::Tensor> m_;  // where the parameters lie
  std::vector<at::Tensor> v_;
};

}  // namespace floe::trainer
