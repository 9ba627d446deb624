#include "inference/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "inference/sampling/weights.h"

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

  // Each with what `log_probability` makes of its value.
  template <typename LogProbability>
  std::vector<TokenLogProbability> Take(const LogProbability& log_probability) const {
    std::vector<TokenLogProbability> out;
    out.reserve(top_.size());
    for (const Entry& entry : top_) {
      out.push_back({entry.id, static_cast<float>(log_probability(entry.value))});
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

// Of softmax(logits): what to take from a logit to get its log-probability.
double LogSumExp(std::span<const float> logits) {
  const float max = logits[Likeliest(logits)];
  double weights[kWeightBlock];
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kWeightBlock) {
    const size_t count = std::min<size_t>(kWeightBlock, logits.size() - begin);
    double sum = 0;
    total += Weigh(logits.subspan(begin, count), max, 1, weights, &sum);
  }
  return max + std::log(total);
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

bool Sampler::Likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void Sampler::KeepOnly(int32_t id, float logit) {
  kept_.assign(1, {id, logit, 1});
  total_ = 1;
}

void Sampler::KeepLikeliest(std::span<const float> logits, size_t k) {
  kept_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    // Most ids end here once k were seen: what is kept is a heap with the least likely on top.
    if (kept_.size() == k && !(logits[i] > kept_.front().logit)) continue;
    if (std::isnan(logits[i])) continue;
    if (kept_.size() == k) {
      std::pop_heap(kept_.begin(), kept_.end(), Likelier);
      kept_.pop_back();
    }
    kept_.push_back({static_cast<int32_t>(i), logits[i], 0});
    std::push_heap(kept_.begin(), kept_.end(), Likelier);
  }
}

void Sampler::WeighKept(float max, double scale) {
  total_ = 0;
  for (Candidate& c : kept_) {
    total_ += c.weight = std::exp((static_cast<double>(c.logit) - max) * scale);
  }
  std::erase_if(kept_, [](const Candidate& c) { return !(c.weight > 0); });
}

void Sampler::KeepWeights(std::span<const float> logits, double least) {
  kept_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (weights_[i] >= least) kept_.push_back({static_cast<int32_t>(i), logits[i], weights_[i]});
  }
}

// The end of the nucleus is found by halving: each half is looked at once, where sorting would cost
// more than the rest of the draw.
void Sampler::KeepNucleus(double p) {
  const auto sum = [](auto from, auto to) {
    double weights = 0;
    for (; from != to; ++from) weights += from->weight;
    return weights;
  };
  double missing = p * total_;
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
  all_ = false;
  KeepOnly(best, logits[best]);
  if (params.temperature <= 0) return best;
  const double uniform = UniformAt(params.seed, position);
  const double scale = 1 / static_cast<double>(params.temperature);
  const bool filters = (params.top_p > 0 && params.top_p < 1) || params.min_p > 0;
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size()) {
    KeepLikeliest(logits, static_cast<size_t>(params.top_k));
    WeighKept(logits[best], scale);
  } else {
    weights_.resize(logits.size());
    sums_.resize(logits.size() / kWeightBlock + 1);
    total_ = Weigh(logits, logits[best], scale, weights_.data(), sums_.data());
    if (!filters && total_ > 0) {
      all_ = true;
      return DrawFromAll(uniform * total_);
    }
    // All ids below this weight have together less than the part that the nucleus leaves out.
    const double tail = params.top_p > 0 ? (1 - static_cast<double>(params.top_p)) * total_ /
                                               static_cast<double>(logits.size())
                                         : 0;
    KeepWeights(logits, std::max(tail, std::numeric_limits<double>::min()));
  }
  if (params.top_p > 0 && params.top_p < 1) KeepNucleus(params.top_p);
  if (params.min_p > 0) KeepMinP(params.min_p);
  if (kept_.empty()) {
    KeepOnly(best, logits[best]);
    return best;
  }
  return DrawFromKept(uniform);
}

int32_t Sampler::DrawFromKept(double uniform) {
  total_ = 0;
  for (const Candidate& c : kept_) total_ += c.weight;
  double left = uniform * total_;
  for (const Candidate& c : kept_) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return kept_.back().id;
}

int32_t Sampler::DrawFromAll(double left) const {
  size_t block = 0;
  size_t last = 0;  // that has a weight: rounding may leave a rest at the very end
  for (size_t i = 0; i * kWeightBlock < weights_.size(); ++i) {
    if (!(sums_[i] > 0)) continue;
    block = i;
    if (left < sums_[i]) break;
    left -= sums_[i];
  }
  const size_t end = std::min(weights_.size(), (block + 1) * kWeightBlock);
  for (size_t i = block * kWeightBlock; i < end; ++i) {
    if (!(weights_[i] > 0)) continue;
    last = i;
    left -= weights_[i];
    if (left < 0) break;
  }
  return static_cast<int32_t>(last);
}

TokenLogProbabilities Sampler::LogProbabilities(int32_t id, int n) const {
  TokenLogProbabilities out{id, -std::numeric_limits<float>::infinity(), {}};
  const double normaliser = std::log(total_);
  Top top(n);
  const auto push = [&](int32_t one, double weight) {
    if (!(weight > 0)) return;
    top.Push(one, weight);
    if (one == id) out.log_probability = static_cast<float>(std::log(weight) - normaliser);
  };
  if (all_) {
    for (size_t i = 0; i < weights_.size(); ++i) push(static_cast<int32_t>(i), weights_[i]);
  } else {
    for (const Candidate& c : kept_) push(c.id, c.weight);
  }
  out.top = top.Take([&](double weight) { return std::log(weight) - normaliser; });
  return out;
}

double LogProbability(std::span<const float> logits, int32_t id) {
  return logits[id] - LogSumExp(logits);
}

TokenLogProbabilities ModelLogProbabilities(std::span<const float> logits, int32_t id, int n) {
  const double normaliser = LogSumExp(logits);
  TokenLogProbabilities out{id, static_cast<float>(logits[id] - normaliser), {}};
  Top top(n);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) top.Push(static_cast<int32_t>(i), logits[i]);
  }
  out.top = top.Take([&](double logit) { return logit - normaliser; });
  return out;
}

}  // namespace floe::inference
