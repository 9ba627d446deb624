#include "trainer/internal/thread_replicas.h"

namespace floe::trainer {
namespace {

constexpr int64_t kMostNumbers = int64_t{1} << 26;  // of all replicas' gradients

// Sequences [first, end) of a micro-batch; borrows it.
MicroBatch Sequences(const MicroBatch& batch, int64_t first, int64_t end) {
  const int64_t length = batch.ids.size(1);
  return {batch.ids.narrow(0, first, end - first),
          batch.targets.narrow(0, first * length, (end - first) * length)};
}

int64_t CountTargets(const MicroBatch& batch) {
  return trainer::CountTargets(batch.targets.data_ptr<int64_t>(), batch.targets.numel());
}

}  // namespace

bool ReplicasPay(int64_t parameters, int64_t sequences, int threads) {
  if (threads < 2 || parameters > kMostNumbers / threads) return false;
  return sequences % threads == 0 || sequences >= 4 * threads;
}

ThreadReplicas::ThreadReplicas(Transformer& transformer, int threads) : transformer_(transformer) {
  for (int i = 0; i < threads; ++i) replicas_.push_back(transformer.Replica());
}

double ThreadReplicas::AccumulateGradients(const std::vector<MicroBatch>& batches) {
  int64_t total = 0;
  for (const MicroBatch& batch : batches) total += CountTargets(batch);
  const auto count = static_cast<int64_t>(replicas_.size());
  std::vector<double> losses(replicas_.size());
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::vector<MicroBatch> own;
      for (const MicroBatch& batch : batches) {
        const int64_t sequences = batch.ids.size(0);
        own.push_back(Sequences(batch, sequences * r / count, sequences * (r + 1) / count));
      }
      const auto at = static_cast<size_t>(r);
      losses[at] = trainer::AccumulateGradients(replicas_[at], own, {.total = total});
    }
  });
  Gather();
  double loss = 0;
  for (const double part : losses) loss += part;
  return loss;
}

void ThreadReplicas::Gather() {
  std::vector<Parameter>& parameters = transformer_.parameters();
  at::parallel_for(0, std::ssize(parameters), 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (int64_t i = begin; i < end; ++i) {
      at::Tensor& sum = parameters[static_cast<size_t>(i)].value.mutable_grad();
      for (Transformer& replica : replicas_) {
        at::Tensor& part = replica.parameters()[static_cast<size_t>(i)].value.mutable_grad();
        if (!part.defined()) continue;  // a thread without a token
        if (sum.defined()) {
          sum.add_(part);
        } else {
          sum = part;
        }
        part.reset();
      }
    }
  });
}

}  // namespace floe::trainer
