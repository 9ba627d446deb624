// Reciprocal rank fusion: one ranking out of several, by places alone, so that scores of different
// kinds need no common measure. Cormack, Clarke and Büttcher, SIGIR 2009.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace floe::retrieval {

// The paper's constant: how much the first places count beyond the others.
inline constexpr double kFusionConstant = 60;

struct Fused {
  int64_t id = 0;
  double score = 0;        // sum over the rankings that have it of 1 / (60 + place), places from 1
  std::vector<int> ranks;  // its place in each ranking, from 1; 0: not there
  bool operator==(const Fused&) const = default;
};

// Best first; equal scores by id. An id stands at most once in a ranking. Pure.
std::vector<Fused> FuseRankings(std::span<const std::vector<int64_t>> rankings);

}  // namespace floe::retrieval
