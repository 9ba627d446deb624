#include "inference/sampling/sampler.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 1.0f, 0.0f, 1.5f};

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
  for (int position = 0; position < kDraws; ++position) ++counts[Sample(kLogits, params, position)];
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
  const auto top = TopLogProbabilities(kLogits, 2);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].id, 1);
  EXPECT_EQ(top[1].id, 5);
  EXPECT_NEAR(top[1].log_probability, std::log(p[5]), 1e-6);
  EXPECT_EQ(TopLogProbabilities(kLogits, 100).size(), 6u);
}

TEST(SamplingParams, MistakesAreNamed) {
  EXPECT_TRUE(SamplingParams{}.Validate().ok());
  EXPECT_THAT(SamplingParams{.temperature = -1}.Validate().message(),
              HasSubstr("temperature is -1"));
  EXPECT_FALSE(SamplingParams{.temperature = std::nanf("")}.Validate().ok());
  EXPECT_THAT(SamplingParams{.top_k = -1}.Validate().message(), HasSubstr("top_k is -1"));
  EXPECT_THAT(SamplingParams{.top_p = 1.5f}.Validate().message(), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(SamplingParams{.min_p = -0.5f}.Validate().message(), HasSubstr("min_p is -0.5"));
}

}  // namespace
}  // namespace floe::inference
