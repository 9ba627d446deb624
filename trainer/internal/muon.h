// Muon: momentum whose matrices are brought near to orthogonal before they are applied, so that
// every direction of a weight matrix learns at the same pace.
// Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with its
// coefficients; the step of an [out, in] matrix is times sqrt(max(1, out / in)).
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/internal/transformer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// Five Newton-Schulz steps of x [m, n]: the singular values come near to 1, the directions stay.
at::Tensor Orthogonalized(const at::Tensor& x);

// Borrows the parameters, matrices all of them; parts that are stored together are brought near to
// orthogonal apart. Not thread-safe.
class Muon {
 public:
  Muon(std::vector<Parameter*> parameters, const TrainSettings& settings);

  // One step with Nesterov's momentum and weight decay apart from the gradient.
  void Step(double learning_rate);

  // The momenta, named `m/<parameter>`. On the CPU the spans borrow this object.
  std::vector<StateTensor> State() const;
  absl::Status Restore(const StateFile& state);

 private:
  const std::vector<Parameter*> parameters_;
  const TrainSettings settings_;
  std::vector<at::Tensor> momenta_;
};

}  // namespace floe::trainer
