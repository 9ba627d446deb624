// The learning rate as a function of the step: pure.
#pragma once

#include <cstdint>

#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

// For `step` from 0 to steps - 1. Linear warm-up: (step + 1) / warmup_steps of the highest rate.
// Then cosine: min + (max - min) * (1 + cos(pi * p)) / 2, p going from 0 to 1 (arXiv:1608.03983).
// wsd: the highest rate, then linearly to min over the last fifth (arXiv:2404.06395).
double LearningRate(const TrainSettings& settings, int64_t step);

}  // namespace floe::trainer
