// Golden values: computed from TRL's formulas for log-probabilities chosen -10 (5 tokens), rejected
// -14 (8 tokens), of the reference -12 and -13.
#include "trainer/alignment/preference_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace floe::trainer {
namespace {

using testing::HasSubstr;

constexpr PairLogProbabilities kPair{.policy_chosen = -10,
                                     .policy_rejected = -14,
                                     .reference_chosen = -12,
                                     .reference_rejected = -13,
                                     .chosen_tokens = 5,
                                     .rejected_tokens = 8};

TEST(PreferenceLossTest, Sigmoid) {
  const PreferenceLoss loss = ComputePreferenceLoss({}, kPair);
  EXPECT_NEAR(loss.loss, 0.5543552, 5e-8);
  EXPECT_NEAR(loss.d_policy_chosen, -0.0425557, 5e-8);
  EXPECT_NEAR(loss.d_policy_rejected, 0.0425557, 5e-8);
  EXPECT_NEAR(loss.reward_chosen, 0.2, 1e-12);
  EXPECT_NEAR(loss.reward_rejected, -0.1, 1e-12);
}

TEST(PreferenceLossTest, Robust) {
  EXPECT_NEAR(
      ComputePreferenceLoss({.kind = PreferenceLossKind::kRobust, .label_smoothing = 0.1}, kPair)
          .loss,
      0.5168552, 5e-8);
  // With no label swapped it is sigmoid.
  EXPECT_EQ(ComputePreferenceLoss({.kind = PreferenceLossKind::kRobust}, kPair).loss,
            ComputePreferenceLoss({}, kPair).loss);
}

TEST(PreferenceLossTest, IpoByTheTokenAndSummed) {
  EXPECT_NEAR(ComputePreferenceLoss({.kind = PreferenceLossKind::kIpo}, kPair).loss, 20.025625,
              1e-12);
  EXPECT_NEAR(
      ComputePreferenceLoss({.kind = PreferenceLossKind::kIpo, .length_normalized = false}, kPair)
          .loss,
      4.0, 1e-12);
}

TEST(PreferenceLossTest, APolicyThatIsTheReferenceHasLn2) {
  const PairLogProbabilities same{-3, -4, -3, -4, 2, 2};
  const PreferenceLoss loss = ComputePreferenceLoss({}, same);
  EXPECT_NEAR(loss.loss, std::log(2.0), 1e-15);
  EXPECT_EQ(loss.reward_chosen, 0);
  EXPECT_LT(loss.d_policy_chosen, 0);
}

TEST(PreferenceLossTest, DerivativesAreThoseOfTheLoss) {
  const PreferenceLossOptions losses[] = {
      {},
      {.beta = 0.5},
      {.kind = PreferenceLossKind::kRobust, .label_smoothing = 0.2},
      {.kind = PreferenceLossKind::kIpo},
      {.kind = PreferenceLossKind::kIpo, .beta = 0.3, .length_normalized = false}};
  for (const PreferenceLossOptions& options : losses) {
    const PreferenceLoss at = ComputePreferenceLoss(options, kPair);
    constexpr double kStep = 1e-5;
    const auto slope = [&](double PairLogProbabilities::*by) {
      PairLogProbabilities up = kPair, down = kPair;
      up.*by += kStep;
      down.*by -= kStep;
      return (ComputePreferenceLoss(options, up).loss - ComputePreferenceLoss(options, down).loss) /
             (2 * kStep);
    };
    EXPECT_NEAR(at.d_policy_chosen, slope(&PairLogProbabilities::policy_chosen), 1e-6);
    EXPECT_NEAR(at.d_policy_rejected, slope(&PairLogProbabilities::policy_rejected), 1e-6);
  }
}

TEST(PreferenceLossTest, FarDistancesStayFinite) {
  const PairLogProbabilities far{-5000, -1, -1, -5000, 2, 2};
  const PreferenceLoss loss = ComputePreferenceLoss({.beta = 1}, far);
  EXPECT_NEAR(loss.loss, 9998, 1e-9);
  EXPECT_NEAR(loss.d_policy_chosen, -1, 1e-12);
  const PairLogProbabilities won{-1, -5000, -5000, -1, 2, 2};
  EXPECT_EQ(ComputePreferenceLoss({.beta = 1}, won).loss, 0);
}

TEST(PreferenceLossTest, RefusesWhatALossWouldIgnore) {
  EXPECT_TRUE(Validate(PreferenceLossOptions()).ok());
  const auto ignored = Validate({.label_smoothing = 0.1});
  EXPECT_EQ(ignored.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ignored.message()), HasSubstr("sigmoid does not know"));
  EXPECT_FALSE(Validate({.kind = PreferenceLossKind::kRobust, .label_smoothing = 0.5}).ok());
  EXPECT_FALSE(Validate({.beta = 0}).ok());
  EXPECT_FALSE(Validate({.beta = std::nan("")}).ok());
  EXPECT_EQ(*ParsePreferenceLoss("ipo"), PreferenceLossKind::kIpo);
  EXPECT_FALSE(ParsePreferenceLoss("hinge").ok());
}

}  // namespace
}  // namespace floe::trainer
