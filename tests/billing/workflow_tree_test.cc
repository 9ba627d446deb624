#include "billing/workflow_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace floe::billing {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

WorkflowStep Step(const char* id, const char* parent, int at, int takes, int64_t cents) {
  return {.usage_id = id,
          .parent_id = parent,
          .time = kStart + absl::Seconds(at),
          .total_time = absl::Seconds(takes),
          .net = Money::Picos(cents * Money::kPicosPerCent)};
}

std::vector<std::string> Ids(const WorkflowTree& tree) {
  std::vector<std::string> ids;
  for (const auto& step : tree.steps) {
    ids.push_back(std::string(static_cast<size_t>(step.depth), '.') + step.usage_id);
  }
  return ids;
}

TEST(WorkflowTreeTest, AddsCostUpAndLatencyAlong) {
  const auto tree = BuildTree({Step("tool", "plan", 2, 1, 2), Step("answer", "plan", 3, 4, 5),
                               Step("plan", "", 0, 2, 1), Step("lookup", "tool", 2, 1, 7)});
  ASSERT_TRUE(tree.ok());
  EXPECT_THAT(Ids(*tree), testing::ElementsAre("plan", ".tool", "..lookup", ".answer"));
  EXPECT_EQ(tree->net.picos(), 15 * Money::kPicosPerCent);
  EXPECT_EQ(tree->steps[0].subtree_net, tree->net);
  EXPECT_EQ(tree->steps[1].subtree_net.picos(), 9 * Money::kPicosPerCent);
  EXPECT_EQ(tree->elapsed, absl::Seconds(7));
  EXPECT_EQ(tree->busy, absl::Seconds(8));
}

TEST(WorkflowTreeTest, UnknownParentsAndCirclesStandAtTheTopOnce) {
  const auto tree = BuildTree({Step("a", "b", 1, 1, 1), Step("b", "a", 2, 1, 1),
                               Step("c", "gone", 3, 1, 1), Step("d", "d", 4, 1, 1)});
  ASSERT_TRUE(tree.ok());
  EXPECT_THAT(Ids(*tree), testing::ElementsAre("c", "a", ".b", "d"));
  EXPECT_EQ(tree->net.picos(), 4 * Money::kPicosPerCent);
}

TEST(WorkflowTreeTest, AVeryDeepChainIsNoProblem) {
  std::vector<WorkflowStep> steps;
  for (int i = 0; i < 10'000; ++i) {
    steps.push_back(Step("", "", i, 1, 1));
    steps.back().usage_id = std::to_string(i);
    if (i > 0) steps.back().parent_id = std::to_string(i - 1);
  }
  const auto tree = BuildTree(std::move(steps));
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(tree->steps.back().depth, 9999);
  EXPECT_EQ(tree->steps.front().subtree_net, tree->net);
}

TEST(WorkflowTreeTest, NoStepsAreAnEmptyTree) { EXPECT_TRUE(BuildTree({})->steps.empty()); }

}  // namespace
}  // namespace floe::billing
