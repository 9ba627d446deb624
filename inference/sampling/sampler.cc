#include "inference/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace floe::inference {
namespace {

uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct Candidate {
  int32_t id = 0;
  float logit = 0;
  double weight = 0;  // exp((logit - max) / temperature)
};

bool Likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// Sorts the likeliest to the front, as many as the filters can need, and cuts the rest off.
void Filter(const SamplingParams& params, std::vector<Candidate>* candidates) {
  const size_t k = params.top_k > 0
                       ? std::min(candidates->size(), static_cast<size_t>(params.top_k))
                       : candidates->size();
  std::partial_sort(candidates->begin(), candidates->begin() + static_cast<int64_t>(k),
                    candidates->end(), Likelier);
  candidates->resize(k);
  if (params.top_p > 0 && params.top_p < 1) {
    double total = 0;
    for (const Candidate& c : *candidates) total += c.weight;
    double sum = 0;
    size_t kept = 0;
    while (kept < candidates->size() && sum < params.top_p * total) {
      sum += (*candidates)[kept++].weight;
    }
    candidates->resize(std::max<size_t>(1, kept));
  }
  if (params.min_p > 0) {
    const double least = params.min_p * candidates->front().weight;
    while (candidates->size() > 1 && candidates->back().weight < least) candidates->pop_back();
  }
}

double LogSumExp(std::span<const float> logits, float max) {
  double sum = 0;
  for (const float logit : logits) {
    if (!std::isnan(logit)) sum += std::exp(static_cast<double>(logit) - max);
  }
  return max + std::log(sum);
}

}  // namespace

absl::Status SamplingParams::Validate() const {
  if (!(temperature >= 0 && temperature <= 100)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature is ", temperature, "; it must lie in [0, 100]"));
  }
  if (top_k < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k is ", top_k, "; it must be 0 (keep all) or more"));
  }
  if (!(top_p >= 0 && top_p <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("top_p is ", top_p, "; it must lie in [0, 1]"));
  }
  if (!(min_p >= 0 && min_p <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("min_p is ", min_p, "; it must lie in [0, 1]"));
  }
  return absl::OkStatus();
}

double UniformAt(uint64_t seed, int64_t position) {
  const uint64_t bits = Mix(Mix(seed) ^ Mix(static_cast<uint64_t>(position) + 0x51ed270b35ae7139));
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

int32_t Likeliest(std::span<const float> logits) {
  int32_t best = 0;
  float max = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > max) {
      max = logits[i];
      best = static_cast<int32_t>(i);
    }
  }
  return best;
}

int32_t Sample(std::span<const float> logits, const SamplingParams& params, int64_t position) {
  const int32_t best = Likeliest(logits);
  if (params.temperature <= 0) return best;
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight =
        std::exp((static_cast<double>(logits[i]) - logits[best]) / params.temperature);
    if (!(weight > 0)) continue;  // NaN too
    candidates.push_back({static_cast<int32_t>(i), logits[i], weight});
    total += weight;
  }
  if (candidates.empty()) return best;
  if (params.top_k > 0 || (params.top_p > 0 && params.top_p < 1) || params.min_p > 0) {
    Filter(params, &candidates);
    total = 0;
    for (const Candidate& c : candidates) total += c.weight;
  }
  double left = UniformAt(params.seed, position) * total;
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return candidates.back().id;
}

double LogProbability(std::span<const float> logits, int32_t id) {
  return logits[id] - LogSumExp(logits, logits[Likeliest(logits)]);
}

std::vector<TokenLogProbability> TopLogProbabilities(std::span<const float> logits, int n) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) candidates.push_back({static_cast<int32_t>(i), logits[i], 0});
  }
  const size_t count = std::min(candidates.size(), static_cast<size_t>(std::max(0, n)));
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<int64_t>(count),
                    candidates.end(), Likelier);
  const double normaliser = LogSumExp(logits, logits[Likeliest(logits)]);
  std::vector<TokenLogProbability> top;
  for (size_t i = 0; i < count; ++i) {
    top.push_back({candidates[i].id, static_cast<float>(candidates[i].logit - normaliser)});
  }
  return top;
}

}  // namespace floe::inference
