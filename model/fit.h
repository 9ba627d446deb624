// What fits a memory. Pure functions; they require Validate().ok().
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"

#include "model/blueprint.h"

namespace floe::model {

// How many sequences of `tokens` tokens can be served at once beside the weights, every one with
// its own keys and values at full length. 0: not one. Negative: the weights alone do not fit.
int64_t SequencesThatFit(const Blueprint& blueprint, int64_t memory_bytes, int64_t tokens,
                         int64_t bytes_per_number);

// The largest model in the proportions of `style` (model/dials.h) for which `fits` holds (of those
// within 2 % of the largest, the one of the style's own D/L); nothing when not even the smallest
// fits. `fits` must hold for every smaller model too: memory does.
std::optional<Blueprint> LargestThatFits(const Blueprint& style,
                                         absl::FunctionRef<bool(const Blueprint&)> fits);

}  // namespace floe::model
