// Biases and penalties, against the formulas of those who published them.
#include "inference/sampling/logit_changes.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::inference {
namespace {

using testing::ElementsAre;

std::vector<float> Changed(const SamplingParams& params, const std::vector<int32_t>& prompt,
                           const std::vector<int32_t>& answer, const std::vector<float>& logits) {
  std::vector<float> scratch;
  const auto changed = LogitChanges(params, prompt, answer).Apply(logits, scratch);
  return {changed.begin(), changed.end()};
}

// mu[j] -> mu[j] - c[j] * alpha_frequency - float(c[j] > 0) * alpha_presence, where c counts what
// was sampled: OpenAI, "Frequency and presence penalties". Prompts do not count.
TEST(LogitChanges, FrequencyAndPresenceCountTheAnswerAlone) {
  const SamplingParams params{.presence_penalty = 0.25f, .frequency_penalty = 0.5f};
  EXPECT_THAT(Changed(params, {0, 0, 1}, {1, 2, 2, 2}, {1, 1, 1, 1}),
              ElementsAre(1, 1 - 0.5f - 0.25f, 1 - 1.5f - 0.25f, 1));
  const SamplingParams inviting{.presence_penalty = -1, .frequency_penalty = -0.5f};
  EXPECT_THAT(Changed(inviting, {0}, {3, 3}, {0, 0, 0, -2}), ElementsAre(0, 0, 0, 0));
}

// "logit / theta if positive, logit * theta if negative": Keskar et al. 2019 with the rule for
// signs of transformers' RepetitionPenaltyLogitsProcessor. Once an id, however often it stands.
TEST(LogitChanges, RepetitionCountsPromptAndAnswerOnce) {
  EXPECT_THAT(Changed({.repetition_penalty = 2}, {0, 0}, {1, 1, 1}, {4, -4, 4, -4}),
              ElementsAre(2, -8, 4, -4));
  EXPECT_THAT(Changed({.repetition_penalty = 0.5f}, {0}, {1}, {4, -4, 4, -4}),
              ElementsAre(8, -2, 4, -4));
}

TEST(LogitChanges, ABiasIsAddedAndComesBeforeThePenalties) {
  EXPECT_THAT(Changed({.logit_bias = {{1, 100}, {2, -100}, {1, 3}}}, {}, {}, {1, 1, 1}),
              ElementsAre(1, 4, -99));
  // (1 + 3) / 2 - 0.5 - 0.25
  EXPECT_THAT(Changed({.presence_penalty = 0.25f,
                       .frequency_penalty = 0.5f,
                       .repetition_penalty = 2,
                       .logit_bias = {{0, 3}}},
                      {}, {0}, {1, 1}),
              ElementsAre(1.25f, 1));
}

TEST(LogitChanges, WhatDoesNothingCopiesNothing) {
  const std::vector<float> logits = {1, 2};
  std::vector<float> scratch;
  LogitChanges changes({.temperature = 1}, std::vector<int32_t>{0}, std::vector<int32_t>{1});
  changes.Push(0);
  EXPECT_EQ(changes.Apply(logits, scratch).data(), logits.data());
  EXPECT_TRUE(scratch.empty());
}

TEST(LogitChanges, IdsBeyondTheLogitsAndLogitsThatAreNoNumbersAreHarmless) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto changed = Changed({.repetition_penalty = 2, .logit_bias = {{9, 1}, {-1, 1}}}, {0, 9},
                               {}, {-infinity, std::nanf("")});
  EXPECT_EQ(changed[0], -infinity);
  EXPECT_TRUE(std::isnan(changed[1]));
}

// A stream that moves: what was pushed one by one is what a prompt with the answer's beginning
// says.
TEST(LogitChanges, AreAFunctionOfTheIdsSoFar) {
  const SamplingParams params{.presence_penalty = 0.3f,
                              .frequency_penalty = 0.7f,
                              .repetition_penalty = 1.3f,
                              .logit_bias = {{2, 1}}};
  const std::vector<float> logits = {0.5f, -1, 2, 0.1f};
  std::vector<float> here;
  LogitChanges grown(params, std::vector<int32_t>{0, 1}, std::vector<int32_t>());
  for (const int32_t id : {2, 3, 2, 1}) grown.Push(id);
  const auto pushed = grown.Apply(logits, here);
  EXPECT_EQ(std::vector<float>(pushed.begin(), pushed.end()),
            Changed(params, {0, 1}, {2, 3, 2, 1}, logits));
}

}  // namespace
}  // namespace floe::inference
