// The accounting of a blueprint, told to people and to programs; what `floe plan` prints.
#pragma once

#include <cstdint>
#include <string>

#include "model/blueprint.h"

namespace floe::model {

// What the memory is estimated for.
struct PlanWorkload {
  int64_t batch_size = 8;       // sequences in a training step, and served at once
  int64_t sequence_length = 0;  // tokens of each; 0: the blueprint's context
};

// Both require Validate().ok().
//
// The dials; parameters a component with shares; FLOPs a token; memory to train and to serve; KV
// bytes a token. Lines of at most 100 columns, the last one ended.
std::string PlanTable(const Blueprint& blueprint, const PlanWorkload& workload = {});

// One object, `{blueprint, parameters: {total, embeddings, …, shares}, flops_per_token, memory,
// kv_bytes_per_token}`; sizes in bytes.
std::string PlanJson(const Blueprint& blueprint, const PlanWorkload& workload = {});

}  // namespace floe::model
