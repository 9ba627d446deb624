#include "inference/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 1.0f, 0.0f, 1.5f};

int32_t Sample(std::span<const float> logits, const SamplingParams& params, int64_t position) {
  return Sampler().Draw(logits, params, position);
}

// Probabilities of the ids in `kept` by softmax(logits / temperature), renormalised.
std::vector<double> Expected(const std::vector<int>& kept, double temperature) {
  std::vector<double> p(kLogits.size());
  double sum = 0;
  for (const int id : kept) sum += p[id] = std::exp(kLogits[id] / temperature);
  for (double& value : p) value /= sum;
  return p;
}

// Draws with a fixed seed; a chi-square below `limit` (the 0.999 quantile) passes.
void ExpectDistribution(const SamplingParams& params, const std::vector<int>& kept) {
  constexpr int kDraws = 20'000;
  std::vector<int> counts(kLogits.size());
  Sampler sampler;
  for (int position = 0; position < kDraws; ++position) {
    ++counts[sampler.Draw(kLogits, params, position)];
  }
  const std::vector<double> p = Expected(kept, params.temperature);
  double chi_square = 0;
  for (size_t id = 0; id < p.size(); ++id) {
    if (p[id] == 0) {
      EXPECT_EQ(counts[id], 0) << "id " << id << " was filtered out";
      continue;
    }
    chi_square += std::pow(counts[id] - kDraws * p[id], 2) / (kDraws * p[id]);
  }
  constexpr double kLimit[] = {0.001, 10.8, 13.8, 16.3, 18.5, 20.5};  // 0 to 5 degrees of freedom
  EXPECT_LT(chi_square, kLimit[kept.size() - 1]);
}

TEST(Sample, FollowsTheDistribution) {
  ExpectDistribution({.temperature = 1, .seed = 1}, {0, 1, 2, 3, 4, 5});
  ExpectDistribution({.temperature = 0.7f, .seed = 2}, {0, 1, 2, 3, 4, 5});
  ExpectDistribution({.temperature = 2, .seed = 3}, {0, 1, 2, 3, 4, 5});
}

TEST(Sample, SeedsGiveTheDistributionAtOnePosition) {
  std::vector<int> counts(2);
  for (uint64_t seed = 0; seed < 10'000; ++seed) {
    ++counts[Sample(std::vector<float>{0, 0}, {.temperature = 1, .seed = seed}, 7)];
  }
  EXPECT_NEAR(counts[0], 5000, 165);  // 3.3 standard deviations
}

TEST(Sample, FiltersCutTheTail) {
  ExpectDistribution({.temperature = 1, .top_k = 3, .seed = 4}, {1, 5, 3});
  ExpectDistribution({.temperature = 1, .top_k = 100, .seed = 4}, {0, 1, 2, 3, 4, 5});
  // Probabilities: 1: .420, 5: .254, 3: .154, 0: .094, 4: .057, 2: .021.
  ExpectDistribution({.temperature = 1, .top_p = 0.5f, .seed = 5}, {1, 5});
  ExpectDistribution({.temperature = 1, .top_p = 0.41f, .seed = 5}, {1});
  ExpectDistribution({.temperature = 1, .min_p = 0.3f, .seed = 6}, {1, 5, 3});
  ExpectDistribution({.temperature = 1, .top_k = 4, .top_p = 0.8f, .min_p = 0.5f, .seed = 7},
                     {1, 5});
}

TEST(Sample, GreedyAndTiesTakeTheLowestId) {
  EXPECT_EQ(Sample(kLogits, {}, 0), 1);
  EXPECT_EQ(Sample(std::vector<float>{1, 3, 3, 3}, {}, 0), 1);
  EXPECT_EQ(Sample(std::vector<float>{1, 3, 3, 3}, {.temperature = 1, .top_k = 1, .seed = 9}, 5),
            1);
  EXPECT_EQ(Sample(kLogits, {.temperature = 1e-6f, .seed = 3}, 0), 1);
}

TEST(Sample, IsAPureFunctionOfSeedAndPosition) {
  const SamplingParams params{.temperature = 1, .seed = 42};
  std::vector<int32_t> forwards;
  for (int position = 0; position < 100; ++position) {
    forwards.push_back(Sample(kLogits, params, position));
  }
  for (int position = 99; position >= 0; --position) {
    EXPECT_EQ(Sample(kLogits, params, position), forwards[position]);
  }
}

// The numbers are part of the contract: another build must continue a stream with the same tokens.
TEST(UniformAt, KeepsItsValues) {
  EXPECT_DOUBLE_EQ(UniformAt(0, 0), UniformAt(0, 0));
  EXPECT_NE(UniformAt(0, 1), UniformAt(1, 0));
  EXPECT_NEAR(UniformAt(0, 0), 0.34887638386237485, 1e-15);
  EXPECT_NEAR(UniformAt(42, 7), 0.9688773358485776, 1e-15);
}

TEST(Sample, SurvivesLogitsThatAreNotNumbers) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Sample(std::vector<float>{nan, 1, nan}, {.temperature = 1}, 0), 1);
  EXPECT_EQ(Sample(std::vector<float>{nan, nan}, {.temperature = 1}, 0), 0);
  EXPECT_EQ(Sample(std::vector<float>{-infinity, 0}, {.temperature = 1}, 0), 1);
}

TEST(LogProbability, IsTheModelsOwn) {
  const std::vector<double> p = Expected({0, 1, 2, 3, 4, 5}, 1);
  for (int id = 0; id < 6; ++id) EXPECT_NEAR(LogProbability(kLogits, id), std::log(p[id]), 1e-9);
  const TokenLogProbabilities all = ModelLogProbabilities(kLogits, 3, 2);
  EXPECT_NEAR(all.log_probability, std::log(p[3]), 1e-6);
  ASSERT_EQ(all.top.size(), 2u);
  EXPECT_EQ(all.top[0].id, 1);
  EXPECT_EQ(all.top[1].id, 5);
  EXPECT_NEAR(all.top[1].log_probability, std::log(p[5]), 1e-6);
  EXPECT_EQ(ModelLogProbabilities(kLogits, 0, 100).top.size(), 6u);
  EXPECT_TRUE(ModelLogProbabilities(kLogits, 0, 0).top.empty());
}

TEST(LogProbability, OfEqualLogitsTheLowerIdsComeFirst) {
  const auto all = ModelLogProbabilities(std::vector<float>{1, 2, 1, 2, 2}, 0, 2);
  ASSERT_EQ(all.top.size(), 2u);
  EXPECT_EQ(all.top[0].id, 1);
  EXPECT_EQ(all.top[1].id, 3);
}

TEST(Sampler, TellsTheDistributionThatItDrewFrom) {
  Sampler sampler;
  const SamplingParams params{.temperature = 0.5f, .top_k = 3, .seed = 4};
  const int32_t drawn = sampler.Draw(kLogits, params, 0);
  const std::vector<double> p = Expected({1, 5, 3}, 0.5);
  const TokenLogProbabilities told = sampler.LogProbabilities(drawn, 5);
  EXPECT_NEAR(told.log_probability, std::log(p[drawn]), 1e-6);
  ASSERT_EQ(told.top.size(), 3u);  // the filters left no more
  EXPECT_EQ(told.top[0].id, 1);
  EXPECT_NEAR(told.top[2].log_probability, std::log(p[3]), 1e-6);
  EXPECT_EQ(sampler.LogProbabilities(2, 0).log_probability,
            -std::numeric_limits<float>::infinity());
  // A greedy choice leaves nothing else.
  sampler.Draw(kLogits, {}, 0);
  EXPECT_EQ(sampler.LogProbabilities(1, 5).log_probability, 0);
  EXPECT_EQ(sampler.LogProbabilities(1, 5).top.size(), 1u);
}

// The nucleus found by halving is the one that sorting gives, at every size.
TEST(Sampler, TheNucleusIsTheShortestHeadThatReachesItsShare) {
  for (const int size : {1, 2, 3, 7, 64, 1000}) {
    std::vector<float> logits;
    for (int i = 0; i < size; ++i) {
      logits.push_back(static_cast<float>(6 * UniformAt(static_cast<uint64_t>(size), i)));
    }
    std::vector<double> p;
    for (const float logit : logits) p.push_back(std::exp(logit));
    std::sort(p.begin(), p.end(), std::greater<>());
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (const float share : {0.01f, 0.3f, 0.9f, 0.999f}) {
      size_t kept = 0;
      for (double head = 0; kept < p.size() && head < share * sum; ++kept) head += p[kept];
      Sampler sampler;
      const int32_t id = sampler.Draw(logits, {.temperature = 1, .top_p = share, .seed = 1}, 0);
      EXPECT_EQ(sampler.LogProbabilities(id, size).top.size(), kept) << size << " " << share;
    }
  }
}

// Many blocks, a ragged end, and ids that cannot be drawn among them.
TEST(Sample, DrawsFromALargeVocabularyByTheSameDistribution) {
  constexpr int kSize = 1003;
  constexpr int kDraws = 40'000;
  std::vector<float> logits(kSize, -std::numeric_limits<float>::infinity());
  std::map<int32_t, double> p;
  double sum = 0;
  for (const int id : {0, 255, 256, 700, 701, 1002}) {
    logits[static_cast<size_t>(id)] = static_cast<float>(id % 5) / 2;
    sum += p[id] = std::exp(id % 5 / 2.0);
  }
  logits[300] = std::nanf("");
  std::map<int32_t, int> counts;
  Sampler sampler;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.Draw(logits, {.temperature = 1, .seed = 8}, i)];
  double chi_square = 0;
  for (const auto& [id, weight] : p) {
    chi_square += std::pow(counts[id] - kDraws * weight / sum, 2) / (kDraws * weight / sum);
  }
  EXPECT_EQ(counts.size(), p.size());
  EXPECT_LT(chi_square, 20.5);
  for (const auto& [id, weight] : p) {
    EXPECT_NEAR(sampler.LogProbabilities(id, 0).log_probability, std::log(weight / sum), 1e-6);
  }
  EXPECT_EQ(sampler.LogProbabilities(0, 20).top.size(), p.size());
}

TEST(Weigh, IsTheExponentialAtEveryPlaceAndItsSums) {
  for (const size_t size : {1, 7, 8, 255, 256, 257, 1003}) {
    std::vector<float> logits;
    for (size_t i = 0; i < size; ++i) {
      logits.push_back(static_cast<float>(800 * UniformAt(size, static_cast<int64_t>(i)) - 800));
    }
    std::vector<double> weights(size), sums(size / kWeightBlock + 1);
    const double total = Weigh(logits, 0, 0.5, weights.data(), sums.data());
    double sum = 0;
    for (size_t i = 0; i < size; ++i) {
      const double expected = std::exp(logits[i] * 0.5);
      EXPECT_NEAR(weights[i], expected, 1e-14 * expected) << size << " " << i;
      sum += expected;
    }
    EXPECT_NEAR(total, sum, 1e-13 * sum);
    EXPECT_NEAR(std::accumulate(sums.begin(), sums.end(), 0.0), sum, 1e-13 * sum);
  }
}

TEST(Likeliest, IsTheFirstOfTheGreatest) {
  for (const size_t size : {1, 3, 16, 17, 100}) {
    for (size_t best = 0; best < size; ++best) {
      std::vector<float> logits(size, 1);
      logits[best] = 2;
      logits[size - 1] = 2;
      if (best > 0) logits[0] = std::nanf("");
      EXPECT_EQ(Likeliest(logits), static_cast<int32_t>(best)) << size;
    }
  }
}

TEST(SamplingParams, MistakesAreNamed) {
  EXPECT_TRUE(SamplingParams{}.Validate().ok());
  EXPECT_THAT(SamplingParams{.temperature = -1}.Validate().message(),
              HasSubstr("temperature is -1"));
  EXPECT_FALSE(SamplingParams{.temperature = std::nanf("")}.Validate().ok());
  EXPECT_THAT(SamplingParams{.top_k = -1}.Validate().message(), HasSubstr("top_k is -1"));
  EXPECT_THAT(SamplingParams{.top_p = 1.5f}.Validate().message(), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(SamplingParams{.min_p = -0.5f}.Validate().message(), HasSubstr("min_p is -0.5"));
  EXPECT_THAT(SamplingParams{.presence_penalty = 2.5f}.Validate().message(),
              HasSubstr("presence_penalty is 2.5"));
  EXPECT_THAT(SamplingParams{.frequency_penalty = -3}.Validate().message(),
              HasSubstr("frequency_penalty is -3"));
  EXPECT_THAT(SamplingParams{.repetition_penalty = 0}.Validate().message(),
              HasSubstr("repetition_penalty is 0"));
  EXPECT_FALSE(SamplingParams{.repetition_penalty = std::nanf("")}.Validate().ok());
  EXPECT_THAT((SamplingParams{.logit_bias = {{5, 101}}}.Validate().message()),
              HasSubstr("logit_bias of id 5 is 101"));
  EXPECT_THAT((SamplingParams{.logit_bias = std::vector<LogitBias>(1025)}.Validate().message()),
              HasSubstr("1025 ids"));
}

}  // namespace
}  // namespace floe::inference
