#include "retrieval/fusion.h"

#include <algorithm>
#include <map>

namespace floe::retrieval {

std::vector<Fused> FuseRankings(std::span<const std::vector<int64_t>> rankings) {
  std::map<int64_t, Fused> by_id;
  for (size_t r = 0; r < rankings.size(); ++r) {
    for (size_t place = 0; place < rankings[r].size(); ++place) {
      Fused& fused = by_id[rankings[r][place]];
      fused.id = rankings[r][place];
      fused.ranks.resize(rankings.size());
      fused.ranks[r] = static_cast<int>(place) + 1;
      fused.score += 1 / (kFusionConstant + static_cast<double>(place) + 1);
    }
  }
  std::vector<Fused> order;
  order.reserve(by_id.size());
  for (auto& [id, fused] : by_id) order.push_back(std::move(fused));
  // The map gives them by id already.
  std::stable_sort(order.begin(), order.end(),
                   [](const Fused& a, const Fused& b) { return a.score > b.score; });
  return order;
}

}  // namespace floe::retrieval
