#include "bench/tiers/open_loop.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace floe::bench {
namespace {

// The standard library's distributions differ between implementations; these do not.
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}
  double Unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }  // [0, 1)
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Unit() * static_cast<double>(high - low + 1));
  }

 private:
  std::mt19937_64 random_;
};

// The nearest-rank quantile.
absl::Duration Quantile(std::vector<absl::Duration> values, double q) {
  if (values.empty()) return absl::ZeroDuration();
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  return values[std::max<size_t>(1, rank) - 1];
}

}  // namespace

std::vector<Arrival> PoissonArrivals(const LoadShape& shape) {
  Draws draws(shape.seed);
  std::vector<Arrival> arrivals;
  absl::Duration now;
  for (int i = 0; i < shape.requests; ++i) {
    now += absl::Seconds(-std::log(1 - draws.Unit()) / shape.requests_per_second);
    Arrival& arrival = arrivals.emplace_back();
    arrival.at = now;
    double tier = draws.Unit();
    size_t index = 0;
    while (index + 1 < shape.mix.size() && tier >= shape.mix[index]) tier -= shape.mix[index++];
    arrival.tier = static_cast<inference::ServiceTier>(index);
    arrival.prompt_tokens = draws.Between(shape.min_prompt, shape.max_prompt);
    arrival.answer_tokens = draws.Between(shape.min_answer, shape.max_answer);
  }
  return arrivals;
}

std::array<TierResult, inference::kNumTiers> Summarise(const std::vector<Outcome>& outcomes,
                                                       const inference::TierTargets& targets) {
  std::array<TierResult, inference::kNumTiers> results;
  for (size_t tier = 0; tier < results.size(); ++tier) {
    TierResult& result = results[tier];
    const inference::TierTarget& target = targets.tiers[tier];
    std::vector<absl::Duration> first, per_token;
    for (const Outcome& outcome : outcomes) {
      if (static_cast<size_t>(outcome.tier) != tier) continue;
      ++result.requests;
      if (outcome.refused) {
        ++result.refused;
        continue;
      }
      first.push_back(outcome.first_token);
      per_token.push_back(outcome.per_token);
      if (outcome.first_token > target.first_token || outcome.per_token > target.per_output_token) {
        ++result.delayed;
      }
    }
    if (result.requests > 0) {
      result.goodput = 1 - static_cast<double>(result.refused + result.delayed) /
                               static_cast<double>(result.requests);
    }
    result.first_token_p50 = Quantile(first, 0.5);
    result.first_token_p99 = Quantile(first, 0.99);
    result.per_token_p50 = Quantile(per_token, 0.5);
    result.per_token_p99 = Quantile(per_token, 0.99);
  }
  return results;
}

}  // namespace floe::bench
