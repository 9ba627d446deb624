// A step of one process spread over its threads by sequences: each thread takes its own through the
// whole model and back, so that threads meet once a step instead of twice an operation, and every
// product runs at the speed of one core times their number. Beside it, splitting each product over
// the threads loses a third and more at the sizes of small models.
//
// Each thread has a replica: the transformer's own weights, gradients apart. They are added up in
// the order of the threads: results depend on their number, never on their timing.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/internal/train_step.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

// Whether steps in micro-batches of `sequences` should be spread so: each thread gets (almost) the
// same number of them, and the replicas' gradients stay below 256 MB. Larger models have products
// large enough to be split. Pure.
bool ReplicasPay(int64_t parameters, int64_t sequences, int threads);

// Borrows the transformer, whose parameters must stay the same tensors. Driven by one thread.
class ThreadReplicas {
 public:
  ThreadReplicas(Transformer& transformer, int threads);

  // As train_step.h's AccumulateGradients of these micro-batches, alone in its process.
  double AccumulateGradients(const std::vector<MicroBatch>& batches);

 private:
  // The replicas' gradients become the transformer's.
  void Gather();

  Transformer& transformer_;
  std::vector<Transformer> replicas_;  // one a thread
};

}  // namespace floe::trainer
