// One optimizer step's gradients, and the loss on text that is not trained on.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"

#include "trainer/internal/data_parallel.h"
#include "trainer/internal/transformer.h"
#include "trainer/token_file.h"

namespace floe::trainer {

// B sequences of T tokens: ids [B, T], targets [B * T] int64; negative targets count nothing.
struct MicroBatch {
  at::Tensor ids;
  at::Tensor targets;
};
MicroBatch MakeMicroBatch(const std::vector<int64_t>& ids, const std::vector<int64_t>& targets,
                          int64_t sequence_length);

// The tokens of B * T targets that count.
int64_t CountTargets(const int64_t* targets, int64_t count);

// A part of a step that other processes have the other parts of.
struct StepShare {
  int64_t total = 0;                 // tokens of the whole step; 0: those that are given
  DataParallel* parallel = nullptr;  // sends the gradients during the last backward
};

// Adds the gradient of the mean loss a token over all micro-batches together, each token weighing
// the same wherever it stands; returns that mean, or this part's share of it. `tokens[i]` is how
// many tokens count in micro-batch i; `loss_of(i, scale)` is scale * its summed loss.
double AccumulateGradients(const std::vector<int64_t>& tokens,
                           absl::FunctionRef<at::Tensor(size_t, double)> loss_of,
                           const StepShare& share = {});
double AccumulateGradients(const Transformer& transformer, const std::vector<MicroBatch>& batches,
                           const StepShare& share = {});

// The mean loss a token over the first `max_tokens` of `tokens`, in windows of `sequence_length`;
// at least 2 tokens must be there.
double EvaluateLoss(const Transformer& transformer, const TokenFile& tokens,
                    int64_t sequence_length, int64_t batch_size, int64_t max_tokens);

}  // namespace floe::trainer
