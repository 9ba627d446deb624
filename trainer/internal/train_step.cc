#include "trainer/internal/train_step.h"

#include <algorithm>

namespace floe::trainer {
namespace {

at::Tensor SummedLoss(const Transformer& transformer, const MicroBatch& batch, double scale) {
  return LinearCrossEntropy(transformer.Hidden(batch.ids), transformer.head(), batch.targets,
                            scale);
}

}  // namespace

MicroBatch MakeMicroBatch(const std::vector<int64_t>& ids, const std::vector<int64_t>& targets,
                          int64_t sequence_length) {
  const auto copy = [](const std::vector<int64_t>& values) {
    at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
    return tensor;
  };
  return {copy(ids).reshape({-1, sequence_length}), copy(targets)};
}

int64_t CountTargets(const int64_t* targets, int64_t count) {
  return std::count_if(targets, targets + count, [](int64_t id) { return id >= 0; });
}

double AccumulateGradients(const std::vector<int64_t>& tokens,
                           absl::FunctionRef<at::Tensor(size_t, double)> loss_of,
                           const StepShare& share) {
  int64_t total = share.total;
  size_t last = tokens.size();  // that has a token
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (share.total == 0) total += tokens[i];
    if (tokens[i] > 0) last = i;
  }
  // Also without a token of its own: the others count on what this process sends.
  if (last == tokens.size() && share.parallel != nullptr) share.parallel->BeginBackward();
  double loss = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == 0) continue;
    if (i == last && share.parallel != nullptr) share.parallel->BeginBackward();
    const at::Tensor part = loss_of(i, 1.0 / static_cast<double>(total));
    part.backward();
    loss += part.item<double>();
  }
  return loss;
}

double AccumulateGradients(const Transformer& transformer, const std::vector<MicroBatch>& batches,
                           const StepShare& share) {
  std::vector<int64_t> tokens;
  for (const MicroBatch& batch : batches) {
    tokens.push_back(CountTargets(batch.targets.data_ptr<int64_t>(), batch.targets.numel()));
  }
  return AccumulateGradients(
      tokens, [&](size_t i, double scale) { return SummedLoss(transformer, batches[i], scale); },
      share);
}

double EvaluateLoss(const Transformer& transformer, const TokenFile& tokens,
                    int64_t sequence_length, int64_t batch_size, int64_t max_tokens) {
  const at::NoGradGuard no_grad;
  const int64_t last = std::min(tokens.size() - 1, max_tokens);
  double loss = 0;
  for (int64_t first = 0; first < last;) {
    std::vector<int64_t> ids, targets;
    for (int64_t b = 0; b < batch_size && first < last; ++b, first += sequence_length) {
      const int64_t count = std::min(sequence_length, last - first);
      std::vector<int64_t> window(static_cast<size_t>(count) + 1);
      tokens.Read(first, count + 1, window.data());
      ids.insert(ids.end(), window.begin(), window.end() - 1);
      targets.insert(targets.end(), window.begin() + 1, window.end());
      ids.resize(ids.size() + static_cast<size_t>(sequence_length - count), 0);
      targets.resize(ids.size(), -1);
    }
    loss +=
        SummedLoss(transformer, MakeMicroBatch(ids, targets, sequence_length), 1.0).item<double>();
  }
  return loss / static_cast<double>(last);
}

}  // namespace floe::trainer
