#include "model/fit.h"

#include <algorithm>
#include <vector>

#include "model/accounting.h"
#include "model/dials.h"

namespace floe::model {
namespace {

constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr double kAsLarge = 0.02;

// The most layers of this width that fit, by halving; requires that the least do.
Blueprint Deepest(const Blueprint& style, int64_t width, Depths depths,
                  absl::FunctionRef<bool(const Blueprint&)> fits) {
  int64_t good = depths.least, bad = depths.most + 1;
  while (bad - good > 1) {
    const int64_t middle = good + (bad - good) / 2;
    (fits(Scaled(style, width, middle)) ? good : bad) = middle;
  }
  return Scaled(style, width, good);
}

}  // namespace

int64_t SequencesThatFit(const Blueprint& blueprint, int64_t memory_bytes, int64_t tokens,
                         int64_t bytes_per_number) {
  const ServingMemory one = EstimateServingMemory(blueprint, 1, tokens, bytes_per_number);
  const int64_t left = memory_bytes - one.weights;
  return left < 0 ? -1 : left / one.kv_cache;
}

std::optional<Blueprint> LargestThatFits(const Blueprint& style,
                                         absl::FunctionRef<bool(const Blueprint&)> fits) {
  std::vector<Blueprint> candidates;
  int64_t most = 0;
  const int64_t step = WidthStep(style);
  for (int64_t width = step; width <= kMaxWidth; width += step) {
    const Depths depths = DepthsFor(style, width);
    const Blueprint least = Scaled(style, width, depths.least);
    if (!least.Validate().ok() || !fits(least)) break;  // wider ones need only more
    candidates.push_back(Deepest(style, width, depths, fits));
    most = std::max(most, CountParameters(candidates.back()).Total());
  }
  std::optional<Blueprint> chosen;
  for (const Blueprint& b : candidates) {
    const auto size = static_cast<double>(CountParameters(b).Total());
    if (size < (1 - kAsLarge) * static_cast<double>(most)) continue;
    if (!chosen || ShapeDistance(style, b) < ShapeDistance(style, *chosen)) chosen = b;
  }
  return chosen;
}

}  // namespace floe::model
