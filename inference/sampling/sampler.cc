#include "inference/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::inference {
namespace {

uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The n greatest of the values that were pushed, best first; ties go to the lower id. `n` is small.
class Top {
 public:
  explicit Top(int n) : n_(static_cast<size_t>(std::max(0, n))) {}

  void Push(int32_t id, double value) {
    if (n_ == 0 || (top_.size() == n_ && !Better({id, value}, top_.back()))) return;
    if (top_.size() == n_) top_.pop_back();
    const Entry entry{id, value};
    top_.insert(std::upper_bound(top_.begin(), top_.end(), entry, Better), entry);
  }

  // Their values less `normaliser`.
  std::vector<TokenLogProbability> Take(double normaliser) const {
    std::vector<TokenLogProbability> out;
    out.reserve(top_.size());
    for (const Entry& entry : top_) {
      out.push_back({entry.id, static_cast<float>(entry.value - normaliser)});
    }
    return out;
  }

 private:
  struct Entry {
    int32_t id;
    double value;
  };
  static bool Better(const Entry& a, const Entry& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
  }
  const size_t n_;
  std::vector<Entry> top_;
};

double LogSumExp(std::span<const float> logits, float max) {
  double sum = 0;
  for (const float logit : logits) {
    if (!std::isnan(logit)) sum += std::exp(static_cast<double>(logit) - max);
  }
  return max + std::log(sum);
}

absl::Status ValidateChanges(const SamplingParams& params) {
  for (const auto& [name, value] : {std::pair{"presence_penalty", params.presence_penalty},
                                    std::pair{"frequency_penalty", params.frequency_penalty}}) {
    if (value >= -2 && value <= 2) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is ", value, "; it must lie in [-2, 2]"));
  }
  if (!(params.repetition_penalty > 0 && params.repetition_penalty <= 100)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "repetition_penalty is ", params.repetition_penalty, "; it must lie in (0, 100]"));
  }
  if (params.logit_bias.size() > SamplingParams::kMaxLogitBiases) {
    return absl::InvalidArgumentError(absl::StrCat("logit_bias has ", params.logit_bias.size(),
                                                   " ids; at most ",
                                                   SamplingParams::kMaxLogitBiases));
  }
  for (const LogitBias& bias : params.logit_bias) {
    if (bias.bias >= -100 && bias.bias <= 100) continue;
    return absl::InvalidArgumentError(absl::StrCat("logit_bias of id ", bias.id, " is ", bias.bias,
                                                   "; it must lie in [-100, 100]"));
  }
  return absl::OkStatus();
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
  return ValidateChanges(*this);
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

bool Sampler::Likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void Sampler::KeepOnly(int32_t id, float logit) {
  kept_.assign(1, {id, logit, 1});
  total_ = 1;
}

void Sampler::KeepLikeliest(size_t k) {
  if (k >= kept_.size()) return;
  const auto end = kept_.begin() + static_cast<int64_t>(k);
  std::nth_element(kept_.begin(), end, kept_.end(), Likelier);
  kept_.erase(end, kept_.end());
}

void Sampler::Weigh(float max, float temperature) {
  for (Candidate& c : kept_) {
    c.weight = std::exp((static_cast<double>(c.logit) - max) / temperature);
  }
  std::erase_if(kept_, [](const Candidate& c) { return !(c.weight > 0); });
}

// The end of the nucleus is found by halving: each half is looked at once, where sorting would cost
// more than the rest of the draw.
void Sampler::KeepNucleus(double p) {
  const auto sum = [](auto from, auto to) {
    double weights = 0;
    for (; from != to; ++from) weights += from->weight;
    return weights;
  };
  double missing = p * sum(kept_.begin(), kept_.end());
  auto begin = kept_.begin();  // what lies before is in the nucleus
  auto end = kept_.end();      // what lies behind is not
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, Likelier);
    const double likelier = sum(begin, middle);
    if (likelier >= missing) {
      end = middle;
    } else {
      missing -= likelier;
      begin = middle;
    }
  }
  kept_.erase(end, kept_.end());
}

void Sampler::KeepMinP(double p) {
  double most = 0;
  for (const Candidate& c : kept_) most = std::max(most, c.weight);
  std::erase_if(kept_, [least = p * most](const Candidate& c) { return c.weight < least; });
}

int32_t Sampler::Draw(std::span<const float> logits, const SamplingParams& params,
                      int64_t position) {
  const int32_t best = Likeliest(logits);
  KeepOnly(best, logits[best]);
  if (params.temperature <= 0) return best;
  kept_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) kept_.push_back({static_cast<int32_t>(i), logits[i], 0});
  }
  if (params.top_k > 0) KeepLikeliest(static_cast<size_t>(params.top_k));
  Weigh(logits[best], params.temperature);
  if (params.top_p > 0 && params.top_p < 1) KeepNucleus(params.top_p);
  if (params.min_p > 0) KeepMinP(params.min_p);
  if (kept_.empty()) {
    KeepOnly(best, logits[best]);
    return best;
  }
  total_ = 0;
  for (const Candidate& c : kept_) total_ += c.weight;
  double left = UniformAt(params.seed, position) * total_;
  for (const Candidate& c : kept_) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return kept_.back().id;
}

TokenLogProbabilities Sampler::LogProbabilities(int32_t id, int n) const {
  TokenLogProbabilities out{id, -std::numeric_limits<float>::infinity(), {}};
  const double normaliser = std::log(total_);
  Top top(n);
  for (const Candidate& c : kept_) {
    const double value = std::log(c.weight);
    top.Push(c.id, value);
    if (c.id == id) out.log_probability = static_cast<float>(value - normaliser);
  }
  out.top = top.Take(normaliser);
  return out;
}

double LogProbability(std::span<const float> logits, int32_t id) {
  return logits[id] - LogSumExp(logits, logits[Likeliest(logits)]);
}

TokenLogProbabilities ModelLogProbabilities(std::span<const float> logits, int32_t id, int n) {
  const double normaliser = LogSumExp(logits, logits[Likeliest(logits)]);
  TokenLogProbabilities out{id, static_cast<float>(logits[id] - normaliser), {}};
  Top top(n);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) top.Push(static_cast<int32_t>(i), logits[i]);
  }
  out.top = top.Take(normaliser);
  return out;
}

}  // namespace floe::inference
