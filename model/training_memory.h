// What one device must hold to train a model, estimated from the blueprint alone. Pure functions;
// they require Validate().ok(), whose bounds keep the sizes inside 64 bits.
//
// The estimate follows the trainer of this house: 32-bit master weights and gradients; attention
// whose memory is linear in the sequence (arXiv:2205.14135), so that scores are never kept; logits
// that exist a chunk of rows at a time; gradients that wait while the next micro-batch is computed.
// tests/trainer/training_memory_test.cc holds it beside what LibTorch allocates. What it leaves out
// is what the process needs without any model (libraries, buffers of data), what an allocator
// wastes, and the gradients that small models have a thread (below 256 MB).
#pragma once

#include <cstdint>

#include "model/blueprint.h"

namespace floe::model {

// kBf16Mixed: products in bf16, their inputs kept for backward in bf16; master weights, gradients
// and optimizer state stay in 32 bits, a bf16 copy of the weights stands beside them (autocast).
enum class TrainingPrecision { kF32, kBf16Mixed };

// kAdamW: two moments a parameter. kMuon: one for the matrices of the layers, AdamW elsewhere
// (Jordan 2024, "Muon: an optimizer for hidden layers").
enum class OptimizerKind { kAdamW, kMuon };

struct TrainingMemoryOptions {
  int64_t batch_size = 8;       // sequences of a micro-batch on one device
  int64_t sequence_length = 0;  // tokens of each; 0: the blueprint's context
  TrainingPrecision precision = TrainingPrecision::kF32;
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  // Keeps what enters each layer, and computes the layer again in the backward pass: a third more
  // work (Chen et al. 2016, arXiv:1604.06174).
  bool activation_checkpointing = false;
  int64_t devices = 1;           // data-parallel, each with a whole copy of the weights
  bool shard_optimizer = false;  // ZeRO-1 (arXiv:1910.02054): each holds 1/devices of the state
};

// Bytes on one device.
struct TrainingMemory {
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;
  int64_t activations = 0;  // what backward reads again of a forward pass
  int64_t workspace = 0;  // what lives only for a moment: a chunk of logits, gradients on their way
  int64_t Total() const { return weights + gradients + optimizer + activations + workspace; }
};

// Sizes that pass 2^58 bytes are held there: no machine has them, and sums stay whole.
TrainingMemory EstimateTrainingMemory(const Blueprint& blueprint,
                                      const TrainingMemoryOptions& options);

}  // namespace floe::model
