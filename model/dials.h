// Other sizes of a model: the same proportions, another width and depth. Pure functions; they
// require style.Validate().ok().
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/blueprint.h"

namespace floe::model {

// What a person means who names a size and no dials: the qwen3 family with heads of 128 that share
// keys by four, a gated FFN of 8/3 D (as many weights as a plain one of 4 D: Shazeer 2020,
// arXiv:2002.05202), D/L 128; below a billion parameters heads of 64, D/L 64 and a tied head.
Blueprint DefaultStyle(int64_t parameters);

// Widths that `Scaled` takes are multiples of this: whole heads, and whole blocks of 64.
int64_t WidthStep(const Blueprint& style);

// `style` with another width and depth. Kept: family, vocabulary, context, head_dim, how many heads
// share keys and values, heads and FFN in proportion to the width (the FFN in whole blocks of 64).
Blueprint Scaled(const Blueprint& style, int64_t hidden_size, int64_t num_layers);

// The depths that keep D/L within a factor of two of the style's: the loss hardly depends on it
// there (Kaplan et al. 2020, arXiv:2001.08361, figure 5). At least one, at most Validate()'s bound.
struct Depths {
  int64_t least = 1;
  int64_t most = 1;
};
Depths DepthsFor(const Blueprint& style, int64_t hidden_size);

// |ln((D/L) / (the style's))|: 0 is the style's own shape.
double ShapeDistance(const Blueprint& style, const Blueprint& other);

// Up to `count` models nearest to a size, best first: those within 1 % of it come before others,
// among them those whose heads and FFN are to the width as the style's, then by how near D/L is to
// the style's; the others by size. Where layers are too coarse, the FFN is up to a quarter wider or
// narrower than in proportion. At least one.
std::vector<Blueprint> NearestDials(const Blueprint& style, int64_t parameters, size_t count);

}  // namespace floe::model
