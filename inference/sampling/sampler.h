// From logits to the next token.
//
// The choice is a pure function of (logits, params, position): no state, so that a stream can move
// to another worker, be pre-empted and recomputed, or be asked for again, and go on with the same
// tokens. Order of the filters: temperature, top_k, top_p, min_p; each sees what the one before
// left, renormalised. Equal logits rank by lower id. Biases and penalties come before all of them:
// logit_changes.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

#include "inference/sampling/weights.h"  // Likeliest

namespace floe::inference {

struct LogitBias {
  int32_t id = 0;
  float bias = 0;
  bool operator==(const LogitBias&) const = default;
};

struct SamplingParams {
  static constexpr size_t kMaxLogitBiases = 1024;

  float temperature = 0;  // 0: greedy, and the filters do not matter
  int32_t top_k = 0;      // keep the k likeliest; 0 keeps all
  float top_p = 1;        // keep the likeliest until their sum reaches p; 0 and 1 keep all
  float min_p = 0;        // keep those at least min_p times as likely as the likeliest
  uint64_t seed = 0;
  float presence_penalty = 0;         // [-2, 2]
  float frequency_penalty = 0;        // [-2, 2]
  float repetition_penalty = 1;       // (0, 100]; 1 is none
  std::vector<LogitBias> logit_bias;  // each in [-100, 100]; of an id that comes twice, the last

  bool operator==(const SamplingParams&) const = default;

  // INVALID_ARGUMENT naming the field, its value and its range.
  absl::Status Validate() const;
};

// 53 random bits as a number in [0, 1), from (seed, position) alone: two rounds of the splitmix64
// finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators") over the
// seed and then over the seed's hash combined with the position.
double UniformAt(uint64_t seed, int64_t position);

struct TokenLogProbability {
  int32_t id = 0;
  float log_probability = 0;
};

// An id's natural log-probability, and the likeliest, best first.
struct TokenLogProbabilities {
  int32_t id = 0;
  float log_probability = 0;
  std::vector<TokenLogProbability> top;
  bool first = false;  // of all ids: nothing says how likely it is
};

// Draws ids. Not thread-safe: it keeps its memory from one draw to the next.
class Sampler {
 public:
  // The id of the next token; `position` is its index in the sequence, prompt included. `logits` is
  // not empty; a NaN is taken as never likely. Takes time linear in the vocabulary.
  int32_t Draw(std::span<const float> logits, const SamplingParams& params, int64_t position);

  // By the distribution that the last draw was from, after temperature and filters; minus infinity
  // for an id that they left out. At most `n` in `top`: what was left out is not among them.
  TokenLogProbabilities LogProbabilities(int32_t id, int n) const;

 private:
  struct Candidate {
    int32_t id = 0;
    float logit = 0;
    double weight = 0;  // exp((logit - max) / temperature)
  };
  static bool Likelier(const Candidate& a, const Candidate& b);

  void KeepOnly(int32_t id, float logit);
  void KeepLikeliest(std::span<const float> logits, size_t k);
  void WeighKept(float max, double scale);
  void KeepWeights(std::span<const float> logits, double least);
  void KeepNucleus(double p);
  void KeepMinP(double p);
  int32_t DrawFromKept(double uniform);
  int32_t DrawFromAll(double left) const;

  std::vector<double> weights_;  // of all ids
  std::vector<double> sums_;     // of each kWeightBlock of them
  bool all_ = false;             // any id of weights_ may be drawn; else those of kept_
  std::vector<Candidate> kept_;  // in an order that is a function of the logits
  double total_ = 0;             // sum of the weights of what may be drawn
};

// Natural logarithm of softmax(logits)[id]: the model's own probability, before biases, penalties,
// temperature and filters. Computed in 64 bits, in order of ids.
double LogProbability(std::span<const float> logits, int32_t id);

// The same with the n likeliest.
TokenLogProbabilities ModelLogProbabilities(std::span<const float> logits, int32_t id, int n);

}  // namespace floe::inference
