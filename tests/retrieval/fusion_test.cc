#include "retrieval/fusion.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::retrieval {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// By hand: 7 is first and third, 9 second in both, 3 only third, 5 only first of the second.
TEST(Fusion, Golden) {
  const std::vector<std::vector<int64_t>> rankings = {{7, 9, 3}, {5, 9, 7}};
  const auto fused = FuseRankings(rankings);
  ASSERT_EQ(fused.size(), 4u);
  EXPECT_EQ(fused[0].id, 7);
  EXPECT_DOUBLE_EQ(fused[0].score, 1.0 / 61 + 1.0 / 63);
  EXPECT_THAT(fused[0].ranks, ElementsAre(1, 3));
  EXPECT_EQ(fused[1].id, 9);
  EXPECT_DOUBLE_EQ(fused[1].score, 2.0 / 62);
  EXPECT_THAT(fused[1].ranks, ElementsAre(2, 2));
  EXPECT_EQ(fused[2].id, 5);
  EXPECT_DOUBLE_EQ(fused[2].score, 1.0 / 61);
  EXPECT_THAT(fused[2].ranks, ElementsAre(0, 1));
  EXPECT_EQ(fused[3].id, 3);
  EXPECT_DOUBLE_EQ(fused[3].score, 1.0 / 63);
  EXPECT_THAT(fused[3].ranks, ElementsAre(3, 0));
}

TEST(Fusion, WhatBothFindGoesBeforeWhatOneFindsFirst) {
  const std::vector<std::vector<int64_t>> rankings = {{1, 2, 3, 8}, {4, 5, 6, 8}};
  EXPECT_EQ(FuseRankings(rankings)[0].id, 8);
}

TEST(Fusion, EqualScoresAreOrderedById) {
  const std::vector<std::vector<int64_t>> rankings = {{20}, {10}};
  const auto fused = FuseRankings(rankings);
  EXPECT_EQ(fused[0].id, 10);
  EXPECT_EQ(fused[1].id, 20);
}

TEST(Fusion, NothingGivesNothing) {
  EXPECT_THAT(FuseRankings(std::vector<std::vector<int64_t>>{{}, {}}), IsEmpty());
  EXPECT_THAT(FuseRankings({}), IsEmpty());
}

}  // namespace
}  // namespace floe::retrieval
